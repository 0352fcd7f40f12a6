// SPDX-License-Identifier: Apache-2.0
#pragma once
// atomic_file: a file that appears whole or not at all. The bytes go to a temporary file in the same folder;
// commit() flushes them to the disk (fsync), renames, and flushes the folder. Until then the old file is intact;
// without commit() the temporary file is removed. POSIX.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include <tempera/core/error.hpp>

namespace tempera {

/// Writes a new file or replaces an old one (whose permissions it keeps; a symbolic link to it is followed). Every
/// failure, a full disk included, is an error with the system's reason.
class atomic_file {
public:
    /// path: the file to be. Its folder must exist.
    explicit atomic_file(std::string const& path) : path_(path) {
        if (path.empty()) throw error("file to write", "a name", "an empty one", "name the file");
        struct stat old {};
        bool const exists = ::stat(path.c_str(), &old) == 0;
        if (exists && !S_ISREG(old.st_mode))
            throw error(path, "a regular file or none", "another kind of file", "choose another path");
        if (exists) resolve_link();
        for (int attempt = 0; file_ < 0; ++attempt) {
            temporary_ = path_ + ".partial-" + std::to_string(::getpid()) + "-" + std::to_string(attempt);
            file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
            if (file_ < 0 && (errno != EEXIST || attempt == 1000)) {
                int const reason = errno;
                temporary_.clear();
                fail("create", reason);
            }
        }
        if (exists && ::fchmod(file_, old.st_mode & 07777U) != 0) abandon("set the permissions of");
    }

    atomic_file(atomic_file const&) = delete;
    atomic_file& operator=(atomic_file const&) = delete;
    ~atomic_file() { discard(); }

    /// Appends bytes. Throws error when the system takes fewer; the temporary file is gone then.
    void write(std::span<std::byte const> bytes) {
        write_all(bytes, [this](void const* data, std::size_t n) { return ::write(file_, data, n); });
    }
    /// Writes over bytes that are there already, `place` bytes behind the beginning: a header whose numbers were not known
    /// before the rest was written. Throws error as write does.
    void write_at(std::int64_t place, std::span<std::byte const> bytes) {
        write_all(bytes, [this, place](void const* data, std::size_t n) mutable {
            ssize_t const written = ::pwrite(file_, data, n, static_cast<off_t>(place));
            if (written > 0) place += written;
            return written;
        });
    }
    void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

    /// Makes the file appear under its path, on the disk. Nothing can be written afterwards.
    void commit() {
        if (file_ < 0) throw error(path_, "an open file", "one committed or abandoned", "make a new atomic_file");
        if (::fsync(file_) != 0) abandon("flush");
        int const closed = ::close(file_);
        file_ = -1;
        if (closed != 0) abandon("close");
        if (::rename(temporary_.c_str(), path_.c_str()) != 0) abandon("rename");
        temporary_.clear();
        flush_folder();
    }

private:
    static constexpr std::size_t largest_write = std::size_t{1} << 30;

    /// Hands all bytes to `some`, a system call that may take fewer than it is given.
    template <class F>
    void write_all(std::span<std::byte const> bytes, F&& some) {
        if (file_ < 0) throw error(path_, "an open file", "one committed or abandoned", "make a new atomic_file");
        while (!bytes.empty()) {
            ssize_t const n = some(bytes.data(), std::min(bytes.size(), largest_write));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) {
                if (n == 0) errno = ENOSPC;
                abandon("write");
            }
            bytes = bytes.subspan(static_cast<std::size_t>(n));
        }
    }
    void resolve_link() {
        char* const resolved = ::realpath(path_.c_str(), nullptr);
        if (resolved == nullptr) fail("resolve", errno);
        path_ = resolved;
        std::free(resolved);
    }
    /// The rename itself must reach the disk, or a power cut may bring the old file back.
    void flush_folder() {
        auto const slash = path_.rfind('/');
        std::string const folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path_.substr(0, slash);
        int const handle = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (handle < 0) return;  // a folder that may be written but not listed cannot be flushed
        int const flushed = ::fsync(handle);
        int const reason = errno;
        ::close(handle);
        if (flushed != 0 && reason != EINVAL)  // EINVAL: this file system does not offer it
            throw error(phrase{"cannot flush the folder of ", path_, ": ", std::strerror(reason),
                               "; the new file is in place, but may not survive a power cut: check the disk"});
    }
    void discard() noexcept {
        if (file_ >= 0) ::close(file_);
        file_ = -1;
        if (!temporary_.empty()) ::unlink(temporary_.c_str());
        temporary_.clear();
    }
    [[noreturn]] void abandon(char const* action) {
        int const reason = errno;
        discard();
        fail(action, reason);
    }
    [[noreturn]] void fail(char const* action, int reason) const {
        bool const full = reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
        throw error(
            phrase{"cannot ", action, " ", path_, ": ", std::strerror(reason),
                   (full ? "; free some space or choose another disk" : "; check the folder and its permissions"),
                   ". What was at that path is unchanged."});
    }

    std::string path_;
    std::string temporary_;  ///< empty when there is none to remove
    int file_ = -1;
};

}  // namespace tempera
