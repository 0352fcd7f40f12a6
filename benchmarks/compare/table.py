# SPDX-License-Identifier: Apache-2.0
"""The results as a table in markdown and as a chart of bars."""

import os
from html import escape

MARKS = {"cpu": "measured", "cuda": "measured on a GPU"}
CHARTS = {"cpu": "performance.svg", "cuda": "performance_gpu.svg"}
PEAK_OF = "resnet50_train_float32"


def seconds(m):
    """"1.23 s (1.20 to 1.31)", in milliseconds below a tenth of a second."""
    unit, factor = ("s", 1) if m["median"] >= 0.1 else ("ms", 1000)
    digits = 2 if factor == 1 else 1 if m["median"] >= 0.01 else 3
    median, low, high = (f"{factor * m[k]:.{digits}f}" for k in ("median", "minimum", "maximum"))
    return f"{median} {unit} ({low} to {high})"


def cell(result, mode):
    if mode in result["missing"]:
        return "left out"
    return seconds(result["modes"][mode]) if mode in result["modes"] else ""


def rows(results):
    if not results["workloads"]:
        return
    yield "| workload | ratio | tempera | PyTorch, eager | PyTorch, compiled |"
    yield "|---|---|---|---|---|"
    for result in results["workloads"].values():
        ratio = "" if "ratio" not in result else \
            f"**{result['ratio']:.2f}** ({result['ratio_range'][0]:.2f} to {result['ratio_range'][1]:.2f})"
        cells = [result["label"], ratio] + [cell(result, mode) for mode in ("tempera", "eager", "compiled")]
        yield "| " + " | ".join(cells) + " |"


def peak(results):
    result = results["workloads"].get(PEAK_OF)
    if not result or "peaks" not in result:
        return
    yield "| peak memory | ratio | tempera | PyTorch, eager | PyTorch, compiled |"
    yield "|---|---|---|---|---|"
    peaks = result["peaks"]
    theirs = [p for mode, p in peaks.items() if mode != "tempera" and p]
    ratio = f"**{peaks['tempera'] / min(theirs):.2f}**" if theirs and peaks["tempera"] else ""
    cells = [result["label"], ratio] + \
        [f"{peaks[mode] / 2**30:.2f} GiB" if peaks.get(mode) else "" for mode in ("tempera", "eager", "compiled")]
    yield "| " + " | ".join(cells) + " |"


def dlib(results):
    rates = results.get("dlib")
    if not rates:
        return
    yield "| against dlib | ratio | tempera | dlib |"
    yield "|---|---|---|---|"
    yield (f"| ResNet-18, 32 x 32, batch 32: training, float32 | **{rates['dlib'] / rates['tempera']:.2f}** | "
           f"{rates['tempera']:.0f} images/s | {rates['dlib']:.0f} images/s ({rates['version']}) |")


def conditions(results):
    if not results["workloads"]:
        return
    abouts = [m["about"] for r in results["workloads"].values() for m in r["modes"].values()]
    theirs = next((a for a in abouts if "version" in a), {})
    ours = next((a for a in abouts if "version" not in a), {})
    if "device" in ours:
        yield f"`{results['command']}` on {results['date']}: {ours['device']}, {results['rounds']} rounds."
        if theirs:
            yield f"PyTorch {theirs['version']}."
    else:
        yield f"`{results['command']}` on {results['date']}: {results['machine']}, {results['threads']} threads each,"
        yield f"{results['rounds']} rounds. tempera: {results['compiler']}, {ours.get('instruction_set', '')} kernels."
    if "instruction_set" in theirs:
        yield (f"PyTorch {theirs['version']}, {theirs['instruction_set']}; importing it alone takes "
               f"{theirs['resident_after_import'] / 2**30:.2f} GiB.")
    others = max(r["others"] for r in results["workloads"].values())
    yield f"Other programs took at most {100 * others:.0f} % of the machine while a workload was measured."
    for name, result in results["workloads"].items():
        for mode, reason in result["missing"].items():
            yield f"Left out: {name}, {mode} ({reason})."


def markdown(results, device):
    parts = ["\n".join(conditions(results)), "\n".join(rows(results)), "\n".join(peak(results)),
             "\n".join(dlib(results)), f"![Ratios of the table as bars]({CHARTS[device]})"]
    return "\n\n".join(part for part in parts if part)


def chart(results):
    """One bar a workload: the ratio; the line at 1 is PyTorch."""
    measured = [r for r in results["workloads"].values() if "ratio" in r]
    line, top = 26, 40
    left = 16 + 7 * max([len(r["label"]) for r in measured] + [60])
    width = left + 480
    scale = (width - left - 60) / max([1.2] + [r["ratio"] for r in measured])
    height = top + line * len(measured) + 12
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
           f'font-size="13">',
           "<!-- SPDX-License-Identifier: Apache-2.0 -->",
           f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
           f'<text x="{left}" y="16" fill="#333333">time of tempera / best time of PyTorch (shorter is faster)</text>']
    for i, result in enumerate(measured):
        y, ratio = top + line * i, result["ratio"]
        color = "#2a7f62" if ratio <= 1 else "#b5651d"
        low, high = (left + scale * x for x in result["ratio_range"])
        out += [f'<text x="{left - 8}" y="{y + 14}" text-anchor="end" fill="#333333">{escape(result["label"])}</text>',
                f'<rect x="{left}" y="{y + 2}" width="{scale * ratio:.1f}" height="{line - 10}" fill="{color}"/>',
                f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y + 10}" y2="{y + 10}" stroke="#222222" stroke-width="2"/>',
                f'<text x="{max(high, left + scale * ratio) + 6:.1f}" y="{y + 14}" fill="#333333">{ratio:.2f}</text>']
    one = left + scale
    out += [f'<line x1="{one:.1f}" x2="{one:.1f}" y1="{top - 8}" y2="{height - 8}" stroke="#222222" '
            'stroke-dasharray="4 3"/>',
            f'<text x="{one:.1f}" y="{top - 10}" text-anchor="middle" fill="#333333">PyTorch</text>', "</svg>"]
    return "\n".join(out) + "\n"


def publish(results, device, folder):
    """Prints the table; writes it between the marks of performance.md, and the chart, where a folder is given."""
    text = markdown(results, device)
    print(text)
    if folder is None:
        return
    begin, end = (f"<!-- {MARKS[device]}: {word} -->" for word in ("begin", "end"))
    page = os.path.join(folder, "performance.md")
    with open(page) as file:
        before, _, rest = file.read().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{page} lacks the lines {begin} and {end}")
    with open(page, "w") as file:
        file.write(f"{before}{begin}\n{text}\n{end}{after}")
    with open(os.path.join(folder, CHARTS[device]), "w") as file:
        file.write(chart(results))
