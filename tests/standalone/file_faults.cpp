// SPDX-License-Identifier: Apache-2.0
// A checkpoint, and a set of packed images, is written over an old one while the k-th system call fails, for every k and every kind of failure: no
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

#include <tempera/data/packed_images.hpp>
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
ssize_t pwrite(int file, void const* data, size_t size, off_t place) {
    if (kind == fault::half && calls == failing) {
        ++calls;
        return syscall(SYS_pwrite64, file, data, size / 2 + 1, place);
    }
    return fails() ? -1 : syscall(SYS_pwrite64, file, data, size, place);
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

/// Something to save: the old one, or the new one.
struct form {
    void (*save)(std::string const& path, bool newer);
    int (*which)(std::string const& path);  ///< 1: the old one, 2: the new one, 0 or an error: neither
    int least_calls;                        ///< that saving makes
};

// write x 4, fsync, rename, fsync of the folder, fchmod
constexpr form checkpoint{[](std::string const& path, bool newer) {
                              auto const& values = newer ? new_values : old_values;
                              tempera::write_safetensors(
                                  path, {entry_of<float>("a", {static_cast<std::int64_t>(values.size())}, values),
                                         entry_of<float>("b", {2}, std::span(values).first(2))});
                          },
                          [](std::string const& path) {
                              auto const file = tempera::read_safetensors(path);
                              auto const n = static_cast<std::size_t>(file["a"].count());
                              std::vector<float> values(n);
                              file.copy<float>("a", values);
                              return values == old_values ? 1 : values == new_values ? 2 : 0;
                          },
                          7};

// two pieces of pixels, labels and the header in place of four writes
constexpr form packed{[](std::string const& path, bool newer) {
                          tempera::image_packer packer(path, {newer ? 1024 : 8, 1024, 1}, {"a", "b"});
                          std::vector<std::uint8_t> const image(newer ? 1 << 20 : 1 << 13, newer ? 2 : 1);
                          packer.add(image, 1);
                          packer.add(image, 0);
                          packer.commit();
                      },
                      [](std::string const& path) {
                          auto const set = tempera::packed_images(path);
                          std::uint8_t const first = set.image(0)[0];
                          for (int i = 0; i < set.size(); ++i)
                              for (std::int64_t p = 0; p < set.image(i).size(); ++p)
                                  if (set.image(i)[p] != first) return 0;
                          bool const whole = set.size() == 2 && set.label(0) == 1 && set.label(1) == 0 &&
                                             set.class_name(1) == "b" &&
                                             set.image_shape().height == (first == 2 ? 1024 : 8);
                          return whole ? first : 0;
                      },
                      8};

int which(form const& f, std::string const& path) {
    try {
        return f.which(path);
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
bool threw(form const& f, std::string const& path) {
    calls = 0;
    try {
        f.save(path, true);
        return false;
    } catch (tempera::error const&) {
        return true;
    }
}

/// Every fault at every call.
void try_all(form const& what, std::string const& folder) {
    std::string const path = folder + "/file.safetensors";
    kind = fault::none;
    what.save(path, false);
    bool const failed = threw(what, path);
    int const last = calls;
    check(!failed && which(what, path) == 2 && last >= what.least_calls, "a save without faults", -1);

    for (fault const f : {fault::no_space, fault::input_output, fault::half, fault::interrupted, fault::death}) {
        for (int call = 0; call < last; ++call) {
            kind = fault::none;
            failing = -1;
            what.save(path, false);
            kind = f;
            failing = call;
            if (f == fault::death) {
                pid_t const child = fork();
                if (child == 0) _exit(threw(what, path) ? 2 : 0);
                int status = 0;
                waitpid(child, &status, 0);
                check(WIFEXITED(status) && WEXITSTATUS(status) == 9, "the process to die there", call);
                check(which(what, path) != 0, "the old file or the new one", call);
                for (auto const& place : std::filesystem::directory_iterator(folder))
                    if (place.path() != path) std::filesystem::remove(place.path());
                continue;
            }
            bool const error = threw(what, path);
            int const found = which(what, path);
            bool const after_rename = call == last - 1;  // the folder's flush: the new file is there already
            bool const harmless = !error && found == 2;  // half a write and an interruption are gone on with
            check(harmless || (error && found == (after_rename ? 2 : 1)), "an error and the old file, or the new file",
                  call);
            check(files_in(folder) == 1, "no temporary file", call);
            if (f == fault::no_space || f == fault::input_output) check(error, "an error", call);
        }
    }
    std::filesystem::remove(path);
}

}  // namespace

int main() {
    std::string folder = (std::filesystem::temp_directory_path() / "tempera-faults-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) return 1;
    try_all(checkpoint, folder);
    try_all(packed, folder);
    std::filesystem::remove_all(folder);
    std::printf("%d passed, %d failed\n", checks - failures, failures);
    return failures == 0 ? 0 : 1;
}
