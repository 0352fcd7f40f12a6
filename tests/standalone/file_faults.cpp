// SPDX-License-Identifier: Apache-2.0
// A checkpoint is written over an old one while the k-th system call fails, for every k and every kind of failure: no
// space, an input/output error, half a write, an interruption, and the death of the process. The file must be the old
// one or the new one, whole; an error must be reported; only a dead process may leave a temporary file.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <tempera/io/safetensors.hpp>

namespace {

enum class fault { none, no_space, input_output, half, interrupted, death };

int calls = 0;     ///< system calls of the writer so far
int failing = -1;  ///< which of them fails
fault kind = fault::none;

/// Whether this call fails now; sets errno, or ends the process.
bool fails() {
    if (calls++ != failing) return false;
    if (kind == fault::death) _exit(9);
    errno = kind == fault::no_space ? ENOSPC : kind == fault::interrupted ? EINTR : EIO;
    return kind != fault::none;
}

}  // namespace

// The calls that atomic_file makes, in place of the C library's.
extern "C" {
ssize_t write(int file, void const* data, size_t size) {
    if (file <= 2) return syscall(SYS_write, file, data, size);
    if (kind == fault::half && calls == failing) {
        ++calls;
        return syscall(SYS_write, file, data, size / 2 + 1);
    }
    return fails() ? -1 : syscall(SYS_write, file, data, size);
}
int fsync(int file) { return fails() ? -1 : static_cast<int>(syscall(SYS_fsync, file)); }
int rename(char const* from, char const* to) noexcept {
    return fails() ? -1 : static_cast<int>(syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to));
}
int fchmod(int file, mode_t mode) noexcept { return fails() ? -1 : static_cast<int>(syscall(SYS_fchmod, file, mode)); }
}

namespace {

using tempera::entry_of;

std::vector<float> const old_values(100, 1.0F), new_values(3000, 2.0F);

void save(std::string const& path, std::vector<float> const& values) {
    tempera::write_safetensors(path, {entry_of<float>("a", {static_cast<std::int64_t>(values.size())}, values),
                                      entry_of<float>("b", {2}, std::span(values).first(2))});
}

/// 1: the old file, 2: the new one, 0: neither.
int which(std::string const& path) {
    try {
        auto const file = tempera::read_safetensors(path);
        auto const n = static_cast<std::size_t>(file["a"].count());
        std::vector<float> values(n);
        file.copy<float>("a", values);
        return values == old_values ? 1 : values == new_values ? 2 : 0;
    } catch (tempera::error const&) {
        return 0;
    }
}

long files_in(std::string const& folder) {
    return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
}

int failures = 0, checks = 0;
void check(bool right, char const* what, int call) {
    ++checks;
    if (right) return;
    ++failures;
    std::printf("call %d, fault %d: expected %s\n", call, static_cast<int>(kind), what);
}

/// The writer with one failing call. Returns whether it threw.
bool threw(std::string const& path) {
    calls = 0;
    try {
        save(path, new_values);
        return false;
    } catch (tempera::error const&) {
        return true;
    }
}

}  // namespace

int main() {
    std::string folder = (std::filesystem::temp_directory_path() / "tempera-faults-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) return 1;
    std::string const path = folder + "/checkpoint.safetensors";
    save(path, old_values);
    bool const failed = threw(path);
    int const last = calls;  // how many calls a save makes: write x 4, fsync, rename, fsync of the folder, fchmod
    check(!failed && which(path) == 2 && last >= 7, "a save without faults", -1);

    for (fault const f : {fault::no_space, fault::input_output, fault::half, fault::interrupted, fault::death}) {
        for (int call = 0; call < last; ++call) {
            kind = fault::none;
            failing = -1;
            save(path, old_values);
            kind = f;
            failing = call;
            if (f == fault::death) {
                pid_t const child = fork();
                if (child == 0) _exit(threw(path) ? 2 : 0);
                int status = 0;
                waitpid(child, &status, 0);
                check(WIFEXITED(status) && WEXITSTATUS(status) == 9, "the process to die there", call);
                check(which(path) != 0, "the old file or the new one", call);
                for (auto const& place : std::filesystem::directory_iterator(folder))
                    if (place.path() != path) std::filesystem::remove(place.path());
                continue;
            }
            bool const error = threw(path);
            int const found = which(path);
            bool const after_rename = call == last - 1;  // the folder's flush: the new file is there already
            bool const harmless = !error && found == 2;  // half a write and an interruption are gone on with
            check(harmless || (error && found == (after_rename ? 2 : 1)), "an error and the old file, or the new file",
                  call);
            check(files_in(folder) == 1, "no temporary file", call);
            if (f == fault::no_space || f == fault::input_output) check(error, "an error", call);
        }
    }
    std::filesystem::remove_all(folder);
    std::printf("%d passed, %d failed\n", checks - failures, failures);
    return failures == 0 ? 0 : 1;
}
