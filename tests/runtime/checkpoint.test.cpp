// SPDX-License-Identifier: Apache-2.0
// Checkpoints: the same bits after saving and loading, what files of other networks are refused with, what is taken by
// name, and that a load which fails leaves the model as it was.
#include <algorithm>
#include <cstring>
#include <numeric>

#include <nlohmann/json.hpp>

#include <tempera/cpu.hpp>
#include <tempera/nn.hpp>
#include <tempera/runtime.hpp>

#include "../bits.hpp"
#include "../catch.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"

using namespace tempera;

namespace {

constexpr shape image{6, 6, 2};
resnet_network const encoder{{.depth = 10, .base_filters = 2, .stages = 1, .stem = stem::small}};
projection_network const head{{.layers = 3, .out = 3}};

/// A few tensors, to spell out what differs.
auto small(int filters, char const* name) {
    return [=](value x) { return named(name, dense{.units = 2})(global_average_pool(conv{.filters = filters}(x))); };
}

/// Every weight and statistic drawn, with values among them that only a copy of bits keeps.
template <class Model>
void draw(Model& m, std::uint32_t stream) {
    philox_stream random(3, stream);
    auto parameters = m.host_parameters(), statistics = m.host_statistics();
    for (float& x : parameters) x = random.uniform(-1, 1);
    for (float& x : statistics) x = random.uniform(0.5F, 2);
    parameters.front() = -0.0F;
    parameters.back() = 1e-45F;
    m.write_parameters(parameters.data());
    m.write_statistics(statistics.data());
}

/// The values of one entry.
std::vector<float> values_of(basic_model<cpu> const& m, std::string_view name) {
    for (auto const& e : m.manifest()) {
        if (e.name.text() != name) continue;
        auto const block = is_statistic(e.role) ? m.host_statistics() : m.host_parameters();
        return {block.begin() + e.offset, block.begin() + e.offset + e.count};
    }
    FAIL("no entry " << name);
    return {};
}

std::vector<std::string> sorted(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    return names;
}

template <precision P>
void returns_unchanged(cpu& device, std::string const& path) {
    dynamic_model<cpu, P> saved(device, simclr(encoder, head), image, {.max_batch = 2});
    draw(saved, 1);
    saved.save(path);
    dynamic_model<cpu, P> loaded(device, simclr(encoder, head), image, {.max_batch = 2, .seed = 9});
    REQUIRE(state_of(loaded) != state_of(saved));
    auto const version = loaded.version();
    loaded.load(path);
    CHECK(state_of(loaded) == state_of(saved));
    CHECK(loaded.version() != version);
    std::vector<float> x(static_cast<std::size_t>(2 * image.size()));
    std::iota(x.begin(), x.end(), -70.0F);
    view<float const> const batch{x.data(), {2, image.height, image.width, image.channels}};
    CHECK(bits_of(loaded.predict(batch).last()) == bits_of(saved.predict(batch).last()));
}

}  // namespace

TEST_CASE("a model that is saved and loaded has the same bits", "[checkpoint]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    returns_unchanged<precision::float32>(device, folder / "m.safetensors");
    returns_unchanged<precision::bfloat16>(device, folder / "m.safetensors");  // replaces the file
    CHECK(folder.names() == std::vector<std::string>{"m.safetensors"});
}

TEST_CASE("a checkpoint is a safetensors file of the manifest, as another parser reads it", "[checkpoint]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    dynamic_model<cpu> m(device, simclr(encoder, head), image, {.max_batch = 2});
    draw(m, 1);
    m.save(folder / "m.safetensors");
    auto const bytes = scratch_folder::read(folder / "m.safetensors");
    std::uint64_t length = 0;
    REQUIRE(bytes.size() > sizeof length);
    std::memcpy(&length, bytes.data(), sizeof length);
    REQUIRE(bytes.size() >= sizeof length + length);
    auto const* const text = reinterpret_cast<char const*>(bytes.data()) + sizeof length;
    auto const header = nlohmann::json::parse(text, text + length);
    CHECK(header.size() == m.manifest().size() + 1);  // and __metadata__
    CHECK(header.at("__metadata__").at("format") == "tempera");
    for (auto const& e : m.manifest()) {
        std::string const name(e.name.text());
        INFO(name);
        auto const& entry = header.at(name);
        CHECK(entry.at("dtype") == "F32");
        std::vector<std::int64_t> dims(e.dims.begin(), e.dims.end());
        if (e.rank == 1) dims = {e.dims[0]};
        if (e.rank == 2) dims = {e.dims[0], e.dims[3]};
        CHECK(entry.at("shape") == dims);
        auto const values = values_of(m, name);
        auto const begin = entry.at("data_offsets").at(0).get<std::size_t>();
        REQUIRE(entry.at("data_offsets").at(1).get<std::size_t>() == begin + 4 * values.size());
        CHECK(std::memcmp(bytes.data() + sizeof length + length + begin, values.data(), 4 * values.size()) == 0);
    }
}

TEST_CASE("entries of 16 bits are widened, other types refused where the model has the entry", "[checkpoint]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    dynamic_model<cpu> m(device, small(1, "last"), {1, 1, 1}, {.max_batch = 1});
    std::vector<bf16> const kernel(9, bf16(1.0F)), last{bf16(-2.5F), bf16(0.1F)};
    std::vector<float> const bias{7, 8};
    std::vector<std::int32_t> const whole{7, 8};
    auto const write = [&](safetensors_entry const& third) {
        write_safetensors(folder / "m", {entry_of<bf16>("conv1.weight", {1, 3, 3, 1}, kernel),
                                         entry_of<bf16>("last.weight", {2, 1}, last), third});
    };
    write(entry_of<float>("last.bias", {2}, bias));
    m.load(folder / "m");
    CHECK(values_of(m, "conv1.weight") == std::vector<float>(9, 1));
    CHECK(values_of(m, "last.weight") == std::vector<float>{-2.5F, 0.10009765625F});
    CHECK(values_of(m, "last.bias") == bias);
    auto const before = state_of(m);
    write(entry_of<std::int32_t>("last.bias", {2}, whole));
    CHECK(says(refusal([&] { m.load(folder / "m"); }),
               {folder.path(), "\"last.bias\"", "expected F32, BF16 or F16, found I32", "convert"}));
    CHECK(state_of(m) == before);

    std::vector<half> const halves{half(0.5F), half(-65504.0F)};
    std::vector<std::int64_t> const count{12};
    write_safetensors(folder / "m", {entry_of<half>("last.bias", {2}, halves),
                                     entry_of<std::int64_t>("conv1.num_batches_tracked", {}, count)});
    load_report const report = m.load_matching(folder / "m");
    CHECK(values_of(m, "last.bias") == std::vector<float>{0.5F, -65504});
    CHECK(report.unused == std::vector<std::string>{"conv1.num_batches_tracked"});
}

TEST_CASE("a file of another network is refused, each entry that differs is named, nothing is taken", "[checkpoint]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    std::string const path = folder / "m.safetensors";
    dynamic_model<cpu>(device, small(3, "last"), image, {.max_batch = 1, .seed = 5}).save(path);
    auto const refused = [&](auto const& network, std::initializer_list<std::string_view> words) {
        dynamic_model<cpu> m(device, network, image, {.max_batch = 1});
        auto const before = state_of(m);
        std::string const text = refusal([&] { m.load(path); });
        INFO(text);
        CHECK(says(text, {path + ": expected "}));
        CHECK(says(text, words));
        CHECK(state_of(m) == before);
    };
    refused(small(3, "end"), {"exactly the model's 3 entries", "missing 2 entries: end.weight, end.bias",
                              "unknown 2 entries: last.bias, last.weight", "use the same network, or load_matching"});
    refused(small(4, "last"), {"tensors of the model's shapes",
                               "2 entries: conv1.weight is (3, 3, 3, 2), the model has (4, 3, 3, 2), last.weight is "
                               "(2, 3), the model has (2, 4)",
                               "use the network that the tensors were trained with"});
    refused(small(4, "end"), {"1 entry: conv1.weight is (3, 3, 3, 2), the model has (4, 3, 3, 2)",
                              "missing 2 entries: end.weight, end.bias", "unknown 2 entries: last.bias, last.weight"});
    refused([](value x) { return named("other", conv{.filters = 2})(x); },
            {"missing 1 entry: other.weight", "unknown 3 entries: conv1.weight, last.bias, last.weight"});
    std::vector<float> const weight(54), dense_weight(6), bias(2);
    std::vector<safetensors_entry> entries = {entry_of<float>("conv1.weight", {3, 2, 3, 3}, weight),
                                              entry_of<float>("last.weight", {2, 3}, dense_weight),
                                              entry_of<float>("last.bias", {2}, bias)};
    write_safetensors(path, entries);
    refused(small(3, "last"), {"1 entry: conv1.weight is (3, 2, 3, 3), the model has (3, 3, 3, 2)",
                               "filters are {out, height, width, in}", "permute (0, 2, 3, 1)"});
    entries[0] = entry_of<float>("conv1.weight", {3, 3, 3, 2}, weight);
    entries.push_back(entry_of<float>("conv1.steps", {2}, bias));
    write_safetensors(path, entries);
    refused(small(3, "last"), {"exactly the model's 3 entries, found unknown 1 entry: conv1.steps"});
}

TEST_CASE("load_matching takes a pretrained encoder and head up to the tap, and says what it did", "[checkpoint]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    dynamic_model<cpu> pretrained(device, simclr(encoder, head), image, {.max_batch = 1, .seed = 5});
    draw(pretrained, 1);
    pretrained.save(folder / "m.safetensors");
    dynamic_model<cpu> tuned(device, classifier(encoder, head, {.tap = 1, .classes = 4}), image, {.max_batch = 1});
    std::vector<std::string> names;
    for (auto const& e : tuned.manifest()) names.emplace_back(e.name.text());
    auto const last = [](std::string const& name) { return name.rfind("classifier.", 0) == 0; };
    bool const from_file = GENERATE(true, false);
    auto const weight = values_of(tuned, "classifier.weight");
    auto const report = from_file ? tuned.load_matching(folder / "m.safetensors") : tuned.load_matching(pretrained);

    CHECK(report.fresh == std::vector<std::string>{"classifier.weight", "classifier.bias"});
    CHECK(sorted(report.unused) ==
          std::vector<std::string>{"head.layer1.dense.weight", "head.layer1.norm.moving_mean",
                                   "head.layer1.norm.moving_variance", "head.layer1.norm.offset",
                                   "head.layer1.norm.scale", "head.layer2.dense.weight", "head.layer2.norm.moving_mean",
                                   "head.layer2.norm.moving_variance", "head.layer2.norm.scale"});
    names.erase(std::remove_if(names.begin(), names.end(), last), names.end());
    CHECK(report.matched == names);
    for (std::string const& name : names) CHECK(values_of(tuned, name) == values_of(pretrained, name));
    CHECK(values_of(tuned, "classifier.weight") == weight);
}

TEST_CASE("load_matching refuses other shapes of the same name, and tensors of which none matches", "[checkpoint]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    dynamic_model<cpu> from(device, small(3, "last"), image, {.max_batch = 1});
    from.save(folder / "m");
    auto const refused = [&](auto const& network, std::initializer_list<std::string_view> words) {
        dynamic_model<cpu> m(device, network, image, {.max_batch = 1, .seed = 2});
        auto const before = state_of(m);
        CHECK(says(refusal([&] { m.load_matching(folder / "m"); }), words));
        CHECK(says(refusal([&] { m.load_matching(from); }), words));
        CHECK(state_of(m) == before);
    };
    refused(small(4, "end"),
            {"tensors of the model's shapes", "conv1.weight is (3, 3, 3, 2), the model has (4, 3, 3, 2)"});
    refused([](value x) { return named("other", conv{.filters = 2})(x); },
            {"expected at least one of the model's 1 entries", "unknown 3 entries", "names"});
}

TEST_CASE("a damaged file is refused or harmless, and never half loaded", "[checkpoint]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    std::string const path = folder / "m";
    dynamic_model<cpu> m(device, small(1, "last"), image, {.max_batch = 1});
    draw(m, 1);
    auto const saved = state_of(m);
    m.save(path);
    auto const bytes = scratch_folder::read(path);
    draw(m, 2);
    auto const before = state_of(m);
    auto const load = [&](std::vector<std::uint8_t> const& damaged) {
        scratch_folder::write(path, {reinterpret_cast<char const*>(damaged.data()), damaged.size()});
        return refusal([&] { m.load(path); });
    };
    for (std::size_t length = 0; length < bytes.size(); length += 5) {
        INFO("cut after " << length << " of " << bytes.size() << " bytes");
        CHECK(says(load({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)}), {path, "expected"}));
        REQUIRE(state_of(m) == before);
    }
    std::size_t refused = 0, tried = 0;
    for (std::size_t at = 0; at < bytes.size(); at += 3, ++tried) {
        INFO("byte " << at << " of " << bytes.size() << " flipped");
        auto damaged = bytes;
        damaged[at] ^= static_cast<std::uint8_t>(1U << at % 8);
        if (load(damaged) == "nothing was thrown") {
            REQUIRE(state_of(m) == saved);
            draw(m, 2);
        } else {
            ++refused;
        }
        REQUIRE(state_of(m) == before);
    }
    CHECK(refused > tried * 9 / 10);
    CHECK(load(bytes) == "nothing was thrown");
    CHECK(state_of(m) == saved);
}

TEST_CASE("missing files and folders are named with the system's reason", "[checkpoint]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    dynamic_model<cpu> m(device, small(1, "last"), image, {.max_batch = 1});
    auto const before = state_of(m);
    for (std::string const& path : {folder / "none", folder / "none/m"}) {
        CHECK(says(refusal([&] { m.load(path); }),
                   {path + ": expected a readable file", "No such file", "check the path"}));
        CHECK(says(refusal([&] { m.load_matching(path); }), {path, "No such file"}));
    }
    CHECK(says(refusal([&] { m.load(folder.path()); }), {folder.path(), "expected", "regular file"}));
    CHECK(says(refusal([&] { m.save(folder / "none/m"); }), {folder / "none/m", "No such file", "folder"}));
    CHECK(says(refusal([&] { m.save(folder.path()); }), {folder.path(), "a regular file or none"}));
    CHECK(folder.names().empty());
    CHECK(state_of(m) == before);
}
