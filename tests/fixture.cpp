// SPDX-License-Identifier: Apache-2.0
#include "fixture.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

#ifndef TEMPERA_TEST_FIXTURES
#define TEMPERA_TEST_FIXTURES "tests/fixtures"
#endif

namespace fixture {
namespace {

using nlohmann::json;

std::vector<char> read_all(std::string const& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("fixture " + path + " is missing");
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

json const& manifest_case(std::string const& file) {
    static json const manifest = [] {
        auto const bytes = read_all(std::string(TEMPERA_TEST_FIXTURES) + "/manifest.json");
        return json::parse(bytes.begin(), bytes.end());
    }();
    for (auto const& entry : manifest.at("cases"))
        if (entry.at("file") == file + ".safetensors") return entry;
    throw std::runtime_error("manifest.json has no case for " + file);
}

template <class T, class Out>
void append(std::vector<Out>& out, char const* bytes, std::size_t size) {
    std::vector<T> raw(size / sizeof(T));
    std::memcpy(raw.data(), bytes, raw.size() * sizeof(T));
    out.assign(raw.begin(), raw.end());
}

}  // namespace

file::file(std::string const& name) : name_(name) {
    auto const bytes = read_all(std::string(TEMPERA_TEST_FIXTURES) + "/" + name + ".safetensors");
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    auto const header = json::parse(bytes.begin() + 8, bytes.begin() + 8 + static_cast<std::ptrdiff_t>(length));
    for (auto const& [key, node] : header.items()) {
        if (key == "__metadata__") continue;
        tensor t;
        for (auto const& d : node.at("shape")) t.dims.push_back(d.get<int>());
        auto const begin = node.at("data_offsets")[0].get<std::size_t>();
        auto const end = node.at("data_offsets")[1].get<std::size_t>();
        char const* data = bytes.data() + 8 + length + begin;
        std::string const type = node.at("dtype");
        if (type == "F32") append<float>(t.values, data, end - begin);
        else if (type == "F64") append<double>(t.values, data, end - begin);
        else if (type == "I32") append<std::int32_t>(t.integers, data, end - begin);
        else if (type == "I64") append<std::int64_t>(t.integers, data, end - begin);
        else if (type == "U8" || type == "BOOL") append<std::uint8_t>(t.integers, data, end - begin);
        else throw std::runtime_error("fixture " + name + ": unexpected type " + type + " of " + key);
        tensors_.emplace(key, std::move(t));
    }
}

tensor const& file::operator[](std::string const& name) const {
    auto const found = tensors_.find(name);
    if (found == tensors_.end()) throw std::runtime_error("fixture " + name_ + " has no tensor " + name);
    return found->second;
}

std::vector<std::string> file::names() const { return names(""); }

std::vector<std::string> file::names(std::string const& prefix) const {
    std::vector<std::string> out;
    for (auto const& [name, t] : tensors_)
        if (name.rfind(prefix, 0) == 0) out.push_back(name.substr(prefix.size()));
    return out;
}

double number(std::string const& file, std::string const& pointer) {
    return manifest_case(file).at(json::json_pointer(pointer)).get<double>();
}
std::string text(std::string const& file, std::string const& pointer) {
    return manifest_case(file).at(json::json_pointer(pointer)).get<std::string>();
}
std::string json(std::string const& file, std::string const& pointer) {
    return manifest_case(file).at(nlohmann::json::json_pointer(pointer)).dump();
}

double difference(float const* a, tensor const& reference) {
    double largest = 0, worst = 0;
    for (std::size_t i = 0; i < reference.values.size(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(reference.values[i])));
        double const d = std::abs(static_cast<double>(a[i]) - static_cast<double>(reference.values[i]));
        worst = std::isnan(d) ? INFINITY : std::max(worst, d);
    }
    return largest > 0 ? worst / largest : worst;
}

}  // namespace fixture
