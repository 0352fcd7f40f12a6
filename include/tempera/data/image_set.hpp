// SPDX-License-Identifier: Apache-2.0
#pragma once
// image_set: labeled 8-bit images of one shape in host memory, or in a file mapped into it. Copies and subsets share the
// pixels.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/view.hpp>

namespace tempera {

/// The label of an image whose class is not known.
inline constexpr std::int32_t no_label = -1;

/// Images {height, width, channels} of unsigned bytes, each with a label 0 .. classes - 1 or no_label. Immutable.
/// A subset holds positions into the same pixels, so it costs eight bytes an image.
class image_set {
public:
    image_set() = default;

    /// `pixels` holds labels.size() images one after another, `names` one name per class or nothing. Throws error
    /// when there is no image, when the sizes do not fit, or when a label is out of range.
    image_set(tempera::shape image, std::vector<std::uint8_t> pixels, std::vector<std::int32_t> labels, int classes,
              std::vector<std::string> names = {})
        : image_(image), classes_(classes) {
        auto const kept = std::make_shared<std::vector<std::uint8_t> const>(std::move(pixels));
        take(*kept, kept, std::move(labels), std::move(names));
    }

    /// The same for pixels that live as long as `owner`: a mapped file, or memory of another library. They must not change.
    image_set(tempera::shape image, std::span<std::uint8_t const> pixels, std::shared_ptr<void const> const& owner,
              std::vector<std::int32_t> labels, int classes, std::vector<std::string> names = {})
        : image_(image), classes_(classes) {
        take(pixels, owner, std::move(labels), std::move(names));
    }

    /// Images without labels; with_labels may add some. Throws error for bytes that are not whole images.
    image_set(tempera::shape image, std::vector<std::uint8_t> pixels) {
        auto const size = static_cast<std::size_t>(std::max<std::int64_t>(image.size(), 1));
        if (pixels.size() % size != 0)
            throw error("image_set", {"a multiple of the ", size, " bytes of an image"}, pixels.size(),
                        "give whole images, and their true shape");
        std::vector<std::int32_t> labels(pixels.size() / size, no_label);
        *this = image_set(image, std::move(pixels), std::move(labels), 1);
    }

    int size() const { return static_cast<int>(places_.size()); }
    bool empty() const { return places_.empty(); }
    tempera::shape image_shape() const { return image_; }
    int classes() const { return classes_; }
    bool named() const { return names_ != nullptr && !names_->empty(); }
    /// Name of a class, or its number where the set has no names; of no_label, "no label".
    std::string class_name(int label) const {
        if (label == no_label) return "no label";
        if (label < 0 || label >= classes_)
            throw error("image_set::class_name", {"a label from -1 (none) to ", classes_ - 1}, label,
                        "check the label");
        return names_->empty() ? std::to_string(label) : (*names_)[static_cast<std::size_t>(label)];
    }

    /// Image i as {1, height, width, channels}; lives as long as any set that shares the pixels.
    view<std::uint8_t const> image(int i) const {
        return {pixels_.get() + places_[static_cast<std::size_t>(i)] * image_.size(),
                {1, image_.height, image_.width, image_.channels}};
    }
    std::int32_t label(int i) const { return labels_[static_cast<std::size_t>(i)]; }
    std::span<std::int32_t const> labels() const { return labels_; }
    /// Whether one image at least has a label.
    bool labeled() const {
        return std::any_of(labels_.begin(), labels_.end(), [](std::int32_t l) { return l != no_label; });
    }
    /// Where image i lies in the set that first held the pixels: the same image has the same place in every subset.
    std::int32_t place(int i) const { return places_[static_cast<std::size_t>(i)]; }

    /// Whether both sets are of the same pixels, so that their places can be compared.
    bool shares_pixels(image_set const& other) const { return pixels_ == other.pixels_; }

    /// The images at `positions` of this set, in that order. Throws error when there are none or one is out of range.
    image_set subset(std::span<int const> positions) const {
        if (positions.empty())
            throw error("image_set::subset", "at least one position", "none", "check how the subset is drawn");
        image_set out = *this;
        out.places_.clear();
        out.labels_.clear();
        for (int const i : positions) {
            if (i < 0 || i >= size())
                throw error("image_set::subset", {"positions 0 to ", size() - 1}, i, "give positions of this set");
            out.places_.push_back(place(i));
            out.labels_.push_back(label(i));
        }
        return out;
    }

    /// The same images with other labels, one for each; of as many classes as before (0), or of others without names.
    /// Throws error as the constructor does.
    image_set with_labels(std::vector<std::int32_t> labels, int classes = 0) const {
        if (labels.size() != labels_.size())
            throw error("image_set::with_labels", {labels_.size(), " labels"}, labels.size(),
                        "give one label per image");
        image_set out = *this;
        if (classes != 0) {
            out.classes_ = classes;
            out.names_ = std::make_shared<std::vector<std::string> const>();
        }
        check_labels(labels, out.classes_);
        out.labels_ = std::move(labels);
        return out;
    }

    /// The images of this set, then those of another, in memory of their own. Where one has no labels, or no names, they are
    /// the other's. Throws error for images of another shape, and for other classes.
    image_set joined(image_set const& other) const {
        if (empty() || other.empty()) return empty() ? other : *this;
        if (!(image_ == other.image_))
            throw error("image_set::joined", {"images of ", describe(image_)}, describe(other.image_),
                        "resize one of both first");
        bool const both = labeled() && other.labeled();
        if (both && classes_ != other.classes_)
            throw error("image_set::joined", {classes_, " classes"}, other.classes_,
                        "bring the labels into one numbering by with_labels");
        if (both && !names_->empty() && !other.names_->empty() && *names_ != *other.names_)
            throw error("image_set::joined", "the same class names", "others",
                        "bring the labels into one numbering by with_labels");
        image_set const& named = both ? (names_->empty() ? other : *this) : other.labeled() ? other : *this;
        std::vector<std::uint8_t> pixels;
        std::vector<std::int32_t> labels;
        for (image_set const* const part : {this, &other}) {
            for (int i = 0; i < part->size(); ++i) {
                std::uint8_t const* const bytes = part->image(i).data;
                pixels.insert(pixels.end(), bytes, bytes + image_.size());
                labels.push_back(part->label(i));
            }
        }
        return {image_, std::move(pixels), std::move(labels), named.classes_, *named.names_};
    }

private:
    void take(std::span<std::uint8_t const> pixels, std::shared_ptr<void const> const& owner,
              std::vector<std::int32_t> labels, std::vector<std::string> names) {
        if (image_.height < 1 || image_.width < 1 || image_.channels < 1)
            throw error("image_set", "images of at least 1 x 1 x 1", describe(image_), "give their true shape");
        if (labels.empty()) throw error("image_set", "at least one image", "none", "check the source of the data");
        if (classes_ < 1) throw error("image_set", "at least one class", classes_, "count the classes");
        auto const expected = static_cast<std::int64_t>(labels.size()) * image_.size();
        if (static_cast<std::int64_t>(pixels.size()) != expected)
            throw error("image_set", {expected, " bytes for ", labels.size(), " images of ", describe(image_)},
                        pixels.size(), "check the shape and the number of labels");
        if (!names.empty() && static_cast<int>(names.size()) != classes_)
            throw error("image_set", {classes_, " class names or none"}, names.size(), "name every class");
        check_labels(labels, classes_);
        places_.resize(labels.size());
        for (std::size_t i = 0; i < places_.size(); ++i) places_[i] = static_cast<std::int32_t>(i);
        labels_ = std::move(labels);
        pixels_ = std::shared_ptr<std::uint8_t const>(owner, pixels.data());
        names_ = std::make_shared<std::vector<std::string> const>(std::move(names));
    }
    static std::string describe(tempera::shape s) {
        return std::to_string(s.height) + " x " + std::to_string(s.width) + " x " + std::to_string(s.channels);
    }
    static void check_labels(std::span<std::int32_t const> labels, int classes) {
        for (std::size_t i = 0; i < labels.size(); ++i)
            if (labels[i] < no_label || labels[i] >= classes)
                throw error("image_set", {"labels 0 to ", classes - 1, " or -1 for none"}, {labels[i], " at image ", i},
                            "check the labels and the number of classes");
    }

    tempera::shape image_{};
    int classes_ = 0;
    std::vector<std::int32_t> places_;
    std::vector<std::int32_t> labels_;
    std::shared_ptr<std::uint8_t const> pixels_;  // with whatever owns them
    std::shared_ptr<std::vector<std::string> const> names_;
};

/// What a published data set comes as.
struct train_test {
    image_set train, test;
};

}  // namespace tempera
