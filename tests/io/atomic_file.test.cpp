// SPDX-License-Identifier: Apache-2.0
// atomic_file: whole or not at all, whatever fails.
#include "../catch.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"

#include <csignal>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tempera/io/atomic_file.hpp>

namespace {

std::string text_of(std::string const& path) {
    auto const bytes = scratch_folder::read(path);
    return {bytes.begin(), bytes.end()};
}

/// Files of this process may not grow beyond a size: writes beyond it fail as they do on a full disk.
class file_size_limit {
public:
    explicit file_size_limit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        getrlimit(RLIMIT_FSIZE, &old_);
        rlimit const limit{bytes, old_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~file_size_limit() {
        setrlimit(RLIMIT_FSIZE, &old_);
        std::signal(SIGXFSZ, handler_);
    }

private:
    rlimit old_{};
    void (*handler_)(int);
};

}  // namespace

TEST_CASE("atomic_file: appears at commit, not before", "[io]") {
    scratch_folder const folder;
    std::string const path = folder / "a.txt";
    tempera::atomic_file file(path);
    file.write("one ");
    CHECK_FALSE(std::filesystem::exists(path));
    file.write("two");
    file.commit();
    CHECK(text_of(path) == "one two");
    CHECK(folder.names() == std::vector<std::string>{"a.txt"});
    CHECK_THROWS_AS(file.write("three"), tempera::error);
    CHECK_THROWS_AS(file.commit(), tempera::error);
    CHECK(text_of(path) == "one two");
}

TEST_CASE("atomic_file: bytes that are there are written over", "[io]") {
    scratch_folder const folder;
    std::string const path = folder / "a.txt";
    tempera::atomic_file file(path);
    file.write("0000 images: ");
    file.write("pixels");
    std::string_view const number = "0012";
    file.write_at(0, std::as_bytes(std::span(number.data(), number.size())));
    file.write(".");  // goes on behind the last
    file.commit();
    CHECK(text_of(path) == "0012 images: pixels.");
    CHECK_THROWS_AS(file.write_at(0, {}), tempera::error);
}

TEST_CASE("atomic_file: abandoned, it leaves the old file and nothing else", "[io]") {
    scratch_folder const folder;
    std::string const path = folder / "a.txt";
    scratch_folder::write(path, "old");
    {
        tempera::atomic_file file(path);
        file.write("new");
        CHECK(folder.names().size() == 2);
    }
    CHECK(text_of(path) == "old");
    CHECK(folder.names() == std::vector<std::string>{"a.txt"});
}

TEST_CASE("atomic_file: replaces, keeps permissions, follows a link", "[io]") {
    scratch_folder const folder;
    std::string const path = folder / "a.txt", link = folder / "link";
    scratch_folder::write(path, "old");
    REQUIRE(chmod(path.c_str(), 0640) == 0);
    std::filesystem::create_symlink("a.txt", link);
    tempera::atomic_file file(link);
    file.write("new");
    file.commit();
    CHECK(text_of(path) == "new");
    CHECK(std::filesystem::is_symlink(link));
    struct stat now {};
    REQUIRE(stat(path.c_str(), &now) == 0);
    CHECK((now.st_mode & 07777U) == 0640U);
}

TEST_CASE("atomic_file: two writers of one path do not mix", "[io]") {
    scratch_folder const folder;
    tempera::atomic_file first(folder / "a"), second(folder / "a");
    first.write("first");
    second.write("second");
    first.commit();
    CHECK(text_of(folder / "a") == "first");
    second.commit();
    CHECK(text_of(folder / "a") == "second");
    CHECK(folder.names().size() == 1);
}

TEST_CASE("atomic_file: a full disk is an error, the old file stays, no other is left", "[io]") {
    scratch_folder const folder;
    std::string const path = folder / "a.txt";
    scratch_folder::write(path, "old");
    std::string const big(100'000, 'x');
    {
        file_size_limit const limit(64 * 1024);
        tempera::atomic_file file(path);
        file.write(big.substr(0, 50'000));
        std::string const message = refusal([&] { file.write(big); });
        INFO(message);
        CHECK(says(message, {path, "File too large", "free some space"}));
        CHECK(folder.names() == std::vector<std::string>{"a.txt"});
        CHECK_THROWS_AS(file.write("more"), tempera::error);
        CHECK_THROWS_AS(file.commit(), tempera::error);
    }
    CHECK(text_of(path) == "old");
    CHECK(folder.names() == std::vector<std::string>{"a.txt"});
}

TEST_CASE("atomic_file: a missing folder, a folder and a device are refused", "[io]") {
    scratch_folder const folder;
    CHECK(says(refusal([&] { static_cast<void>(tempera::atomic_file(folder / "none/a.txt")); }), {"No such file"}));
    CHECK(says(refusal([&] { static_cast<void>(tempera::atomic_file(folder.path())); }), {"regular file"}));
    CHECK(says(refusal([&] { static_cast<void>(tempera::atomic_file("/dev/null")); }), {"regular file"}));
    CHECK(folder.names().empty());
    CHECK(says(refusal([] { tempera::atomic_file const f(""); }),
               {"file to write: expected a name, found an empty one"}));
}

TEST_CASE("atomic_file: a failing rename leaves nothing behind", "[io]") {
    scratch_folder const folder;
    std::string const path = folder / "a";
    tempera::atomic_file file(path);
    file.write("x");
    std::filesystem::create_directory(path);  // appears after the check: rename cannot replace it
    CHECK(says(refusal([&] { static_cast<void>(file.commit()); }), {"rename"}));
    CHECK(folder.names() == std::vector<std::string>{"a"});
    CHECK(std::filesystem::is_directory(path));
}
