// SPDX-License-Identifier: Apache-2.0
// Any bytes as JSON text: read to its end or refused; a string that was read can be written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <tempera/io/json.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    try {
        tempera::json_reader json(text, "input");
        if (json.peek() == '"') {
            std::string const value = json.string();
            std::string written;
            tempera::append_json_string(written, value);
            if (tempera::json_reader(written, "written").string() != value) std::abort();
        } else {
            json.skip();
        }
        json.end();
    } catch (tempera::error const&) {
    }
    return 0;
}
