// SPDX-License-Identifier: Apache-2.0
#pragma once
// mapped_file: the bytes of a file, read by the system as they are touched and dropped as memory runs short, so that a file
// may be larger than memory. POSIX.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include <tempera/core/error.hpp>

namespace tempera {

/// A whole file, read only. What atomic_file puts at the same path later is another file and changes nothing here; a program
/// that cuts this very file off while it is mapped ends by SIGBUS where it is read behind the cut.
class mapped_file {
public:
    /// Throws error when there is no regular file that can be read.
    explicit mapped_file(std::string const& path) {
        // A pipe would be waited for.
        int const file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (file < 0) fail(path, "a readable file", errno);
        struct stat found {};
        bool const known = ::fstat(file, &found) == 0;
        if (known && S_ISREG(found.st_mode) && found.st_size > 0) {
            size_ = static_cast<std::size_t>(found.st_size);
            data_ = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file, 0);
        }
        int const reason = errno;
        ::close(file);  // the mapping keeps the file
        if (!known || data_ == MAP_FAILED) fail(path, "a file that can be mapped into memory", reason);
        if (!S_ISREG(found.st_mode))
            throw error(path, "a regular file", "another kind of file", "give the path of a file on a disk");
    }
    mapped_file(mapped_file const&) = delete;
    mapped_file& operator=(mapped_file const&) = delete;
    ~mapped_file() {
        if (size_ > 0) ::munmap(data_, size_);
    }

    std::span<std::byte const> bytes() const { return {static_cast<std::byte const*>(data_), size_}; }

private:
    [[noreturn]] static void fail(std::string const& path, char const* expected, int reason) {
        throw error(path, expected, std::strerror(reason), "check the path and its permissions");
    }

    void* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace tempera
