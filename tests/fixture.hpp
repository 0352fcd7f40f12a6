// SPDX-License-Identifier: Apache-2.0
#pragma once
// Reference values in tests/fixtures, computed by the authors' own code (see manifest.json there).
// Read with nlohmann/json, not with the library's own reader, which has tests of its own.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fixture {

struct tensor {
    std::vector<int> dims;
    std::vector<float> values;         ///< F32 tensors
    std::vector<std::int64_t> integers;  ///< I32, I64, U8 and BOOL tensors

    std::int64_t size() const {
        std::int64_t n = 1;
        for (int d : dims) n *= d;
        return n;
    }
};

/// One safetensors file of tests/fixtures by name, without the ending. Fails the test when missing.
class file {
public:
    explicit file(std::string const& name);

    /// Fails the test, naming the tensor, when there is none of this name.
    tensor const& operator[](std::string const& name) const;
    bool has(std::string const& name) const { return tensors_.count(name) != 0; }
    std::vector<std::string> names() const;
    /// Names starting with prefix, the prefix cut off.
    std::vector<std::string> names(std::string const& prefix) const;

private:
    std::string name_;
    std::map<std::string, tensor> tensors_;
};

/// A number of the manifest at a JSON pointer inside the case of a file, e.g. ("nt_xent", "/config/n4_t01/temperature").
double number(std::string const& file, std::string const& pointer);
/// Same for text, and the raw JSON text of any node.
std::string text(std::string const& file, std::string const& pointer);
std::string json(std::string const& file, std::string const& pointer);

/// max |a - b| / max |b|: how tolerances of the manifest are meant.
double difference(float const* a, tensor const& reference);

}  // namespace fixture
