"""Table and picture of a machine's page in docs/, and its frozen bars, from the lines that run.py has written."""
import json
import os
import statistics

from machines import MACHINES
from rows import bar, rows

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.join(os.path.dirname(HERE), "docs")


class Results:
    """Of each row and number of threads, the last run that measured it; the machine, by default the processor of the last
    line that tells one."""

    def __init__(self, lines, machine=None):
        self.machine = machine
        self.times, self.errors, self.peaks, runs = {}, {}, {}, {}
        for line in lines:
            self.machine = machine or line.get("cpu", self.machine)
            if line["kind"] == "peaks":
                self.peaks[line["threads"]] = line
            if line["kind"] != "time":
                continue
            key = (line["row"], line["threads"])
            run = runs.setdefault((key, line["who"]), line["run"])
            if line["run"] != run:
                runs[(key, line["who"])] = line["run"]
                self.times.get(key, {}).pop(line["who"], None)
            if "ms" in line:
                self.times.setdefault(key, {}).setdefault(line["who"], []).append(line)
            else:
                self.errors[(*key, line["who"])] = line["error"]

    def peers(self, key):
        return {who: lines for who, lines in self.times.get(key, {}).items() if who != "gradc"}

    def best_peer(self, key):
        """(name, median over the rounds), or nothing."""
        medians = {who: median(lines) for who, lines in self.peers(key).items()}
        return min(medians.items(), key=lambda item: item[1]) if medians else None

    def gradc(self, key):
        return self.times.get(key, {}).get("gradc")


def median(lines):
    return statistics.median(line["ms"] for line in lines)


def read(path, machine=None):
    with open(path, encoding="utf-8") as file:
        return Results([json.loads(line) for line in file], machine)


def machine(results):
    if results.machine not in MACHINES:
        raise SystemExit(f"render.py: no page for '{results.machine}'; bench/machines.py has {', '.join(MACHINES)}")
    return MACHINES[results.machine]


def freeze(results):
    """The bars as numbers. A bar is meant for a quiet machine, so each peer counts with the fastest tenth of the steps
    of its best process, and with what the issue had measured where that was faster. A later run only lowers a bar."""
    frozen, before, here = [], bars(results), machine(results)
    for row in rows():
        for threads in (1, 2):
            peers = results.peers((row.name, threads))
            if not peers or threads not in results.peaks:
                frozen += [entry for key, entry in before.items() if key == (row.name, threads)]
                continue
            best, who = min((at_best(lines), who) for who, lines in peers.items())
            others = [(here.published.get((row.name, threads)), "issue's table")]
            if old := before.get((row.name, threads)):
                others.append((old["best_peer_ms"], old["best_peer"]))
            best, who = min([(best, who)] + [other for other in others if other[0]])
            ms, binds, least = bar(row, results.peaks[threads], here, best)
            frozen.append({"row": row.name, "threads": threads, "best_peer": who, "best_peer_ms": round(best, 5),
                           "floor_ms": round(least, 5), "bar_ms": round(ms, 5), "binds": binds})
    with open(bars_file(results), "w", encoding="utf-8") as file:
        lines = ",\n".join("  " + json.dumps(entry, ensure_ascii=False) for entry in frozen)
        file.write(f"[\n{lines}\n]\n")


def bars_file(results):
    return os.path.join(HERE, "bars", f"{results.machine}.json")


def bars(results):
    if not os.path.exists(bars_file(results)):
        return {}
    with open(bars_file(results), encoding="utf-8") as file:
        return {(entry["row"], entry["threads"]): entry for entry in json.load(file)}


def number(ms):
    return "–" if ms is None else f"{ms:.4f}" if ms < 0.1 else f"{ms:.3f}" if ms < 10 else f"{ms:.1f}"


def spread(lines):
    times = [line["ms"] for line in lines]
    return f"{number(min(times))} – {number(max(times))}"


def at_best(lines):
    """The fastest tenth of the steps of the best process, as bars count peers."""
    return min(line.get("p10_ms", line["ms"]) for line in lines)


def bars_table(results):
    text = ["| row | threads | best peer, ms | of | floor, ms | bar, ms | what binds |", "|---|---|---|---|---|---|---|"]
    for entry in bars(results).values():
        title = next(row.title for row in rows() if row.name == entry["row"])
        text.append(f"| {title} | {entry['threads']} | {number(entry['best_peer_ms'])} | {entry['best_peer']} | "
                    f"{number(entry['floor_ms'])} | **{number(entry['bar_ms'])}** | {entry['binds']} |")
    return "\n".join(text)


def verdict(results, row, threads):
    """One line of the table as (best peer, gradc, ratio, bar, met) where measured."""
    key = (row.name, threads)
    frozen, ours, best = bars(results).get(key), results.gradc(key), results.best_peer(key)
    ms = median(ours) if ours else None
    if row.precision == "f32-amx":  # its bar is our own f32 of the same run
        own = results.gradc((f"train/{row.network}", threads))
        best = ("gradc f32", median(own)) if own else None
    limit = frozen["bar_ms"] if frozen else best[1] / row.ratio if best and row.precision == "f32-amx" else None
    return best, ms, best[1] / ms if best and ms else None, limit, None if not (ms and limit) else ms <= limit


def table(results):
    text = ["| row | threads | best peer | ms | gradc ms | range | times faster | bar | met | at best |",
            "|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows():
        for threads in (1, 2):
            best, ms, ratio, limit, met = verdict(results, row, threads)
            if not best and not ms:
                continue
            ours = results.gradc((row.name, threads))
            text.append(f"| {row.title} | {threads} | {best[0] if best else '–'} | {number(best and best[1])} | "
                        f"{number(ms)} | {spread(ours) if ours else '–'} | {f'{ratio:.2f}' if ratio else '–'} | "
                        f"{number(limit)} | {'–' if met is None else 'yes' if met else '**no**'} | "
                        f"{number(at_best(ours) if ours else None)} |")
    return "\n".join(text)


def scaling(results):
    """Speed of two threads over one."""
    gains = []
    for row in rows():
        one, two = results.gradc((row.name, 1)), results.gradc((row.name, 2))
        if row.mode == "train" and one and two:
            gains.append(f"{row.name.removeprefix('train/')} {median(one) / median(two):.2f}")
    return "Two threads over one: " + ", ".join(gains) + "."


WORST = 4  # kernels shown of a row that misses its bar


def lost(kernel):
    """Milliseconds beyond what the machine needs."""
    return kernel["ms"] * (1 - min(1, kernel["share_of_peak"]))


def gaps(results):
    """Of each row that misses its bar, the kernels that lose most."""
    text = ["| row | threads | kernel | ms | of the row | of peak | bound by |", "|---|---|---|---|---|---|---|"]
    for row in rows():
        for threads in (1, 2):
            ours = results.gradc((row.name, threads))
            if verdict(results, row, threads)[4] is not False or not ours:
                continue
            kernels = ours[-1]["kernels"]
            total = sum(kernel["ms"] for kernel in kernels)
            for kernel in sorted(kernels, key=lost, reverse=True)[:WORST]:
                name = kernel["name"] if len(kernel["name"]) <= 60 else kernel["name"][:59] + "…"
                text.append(f"| {row.name} | {threads} | `{name}` | {number(kernel['ms'])} | "
                            f"{100 * kernel['ms'] / total:.0f} % | {100 * kernel['share_of_peak']:.0f} % | "
                            f"{kernel['bound_by']} |")
    return "\n".join(text)


def peers_table(results):
    names = ["torch eager", "torch eager-cl", "torch compile", "torch compile-cl", "torch jit", "jax",
             "torch-1.13 eager", "torch-1.13 eager-cl", "torch-1.13 jit", "onnxruntime"]
    text = ["| row | threads | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for row in rows():
        for threads in (1, 2):
            peers = results.peers((row.name, threads))
            if peers:
                cells = [number(median(peers[name])) if name in peers else "" for name in names]
                text.append(f"| {row.name} | {threads} | " + " | ".join(cells) + " |")
    return "\n".join(text)


STYLE = """
  svg { color: #1b1f24; background: transparent; font: 12px system-ui, sans-serif; }
  text { fill: currentColor; } .soft { opacity: .65; } .axis { stroke: currentColor; opacity: .25; }
  .ours { fill: #2f6fde; } .missed { fill: #c9772b; } .bar { stroke: currentColor; stroke-width: 2; }
  @media (prefers-color-scheme: dark) { svg { color: #e6e9ee; } .ours { fill: #6ea0ff; } .missed { fill: #f0a35a; } }
"""


def picture(results):
    """How many times faster than the best peer, a bar each; the tick is where the frozen bar lies."""
    left, width, high, top = 300, 430, 15, 46
    entries = []
    for row in rows():
        for threads in (1, 2):
            best, ms, ratio, limit, met = verdict(results, row, threads)
            if ratio:
                entries.append((f"{row.title}, {threads}T", ratio, best[1] / limit if limit else None, met))
    if not entries:
        return None
    most = max(max(ratio, wish or 0) for _, ratio, wish, _ in entries)
    scale = width / max(most, 1)
    height = top + len(entries) * high + 24
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 60} {height}" role="img">',
           f"<style>{STYLE}</style>",
           '<text x="8" y="18" font-weight="600">Times faster than the best peer of the same run</text>',
           '<text x="8" y="34" class="soft">tick: the frozen bar; orange: missed; 1T, 2T: threads</text>']
    for mark in range(0, int(most) + 1):
        x = left + mark * scale
        out.append(f'<line class="axis" x1="{x:.1f}" y1="{top - 4}" x2="{x:.1f}" y2="{height - 20}"/>'
                   f'<text class="soft" x="{x:.1f}" y="{height - 6}" text-anchor="middle">{mark}×</text>')
    for i, (label, ratio, wish, met) in enumerate(entries):
        y = top + i * high
        out.append(f'<text x="{left - 8}" y="{y + 10}" text-anchor="end">{label}</text>'
                   f'<rect class="{"ours" if met is not False else "missed"}" x="{left}" y="{y + 1}" '
                   f'width="{ratio * scale:.1f}" height="{high - 4}" rx="2"/>'
                   f'<text x="{left + max(ratio, wish or 0) * scale + 6:.1f}" y="{y + 10}">{ratio:.2f}</text>')
        if wish:
            x = left + wish * scale
            out.append(f'<line class="bar" x1="{x:.1f}" y1="{y}" x2="{x:.1f}" y2="{y + high - 2}"/>')
    return "\n".join(out + ["</svg>"]) + "\n"


def replace_between(text, name, content):
    begin, end = f"<!-- {name}: written by bench/run.py -->\n", f"<!-- end of {name} -->"
    if begin not in text or end not in text:
        raise SystemExit(f"render.py: the page has no place for '{name}'")
    return text[:text.index(begin) + len(begin)] + content + "\n" + text[text.index(end):]


def write(results):
    page = os.path.join(DOCS, machine(results).page)
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for name, content in (("bars", bars_table(results)), ("table", table(results)), ("peers", peers_table(results)),
                          ("scaling", scaling(results)), ("gaps", gaps(results))):
        text = replace_between(text, name, content)
    with open(page, "w", encoding="utf-8") as file:
        file.write(text)
    drawn = picture(results)
    if drawn:
        with open(os.path.splitext(page)[0] + ".svg", "w", encoding="utf-8") as file:
            file.write(drawn)
