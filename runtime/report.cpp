#include "runtime/report.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

namespace gradc {
namespace {

constexpr double kWidth = 560, kHeight = 260, kLeft = 56, kRight = 12, kTop = 28, kBottom = 34;
constexpr const char *kColours[] = {"#1f6fb4", "#d1600f", "#2c8a3d", "#8c3fa8"};
constexpr const char *kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}svg{margin-right:1rem;max-width:100%}"
    "table{border-collapse:collapse}td,th{padding:.15rem .8rem;text-align:right;border-bottom:1px solid #ddd}"
    "td:first-child,th:first-child{text-align:left}td.bar{text-align:left}td.bar i{display:inline-block;"
    "height:.7rem;background:#1f6fb4}pre{background:#f5f5f5;padding:1rem;overflow:auto}";

std::string escape(const std::string &text) {
  std::string out;
  for (char c : text)
    switch (c) {
    case '<': out += "&lt;"; break;
    case '>': out += "&gt;"; break;
    case '&': out += "&amp;"; break;
    case '"': out += "&quot;"; break;
    default: out += c;
    }
  return out;
}

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points; // epoch, value; finite only
};

/// "val_loss" → "loss": what the curves of one chart have in common.
std::string chartOf(const std::string &name) {
  for (const char *prefix : {"train_", "val_"})
    if (name.starts_with(prefix))
      return name.substr(std::string(prefix).size());
  return name;
}

/// A step of 1, 2 or 5 times a power of ten that cuts `range` into about five.
double niceStep(double range) {
  const double rough = range / 5, power = std::pow(10, std::floor(std::log10(rough)));
  for (double factor : {1.0, 2.0, 5.0})
    if (rough <= factor * power)
      return factor * power;
  return 10 * power;
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  void widen() {
    if (high - low < 1e-9) {
      low -= 0.5;
      high += 0.5;
    }
  }
};

std::string chart(const std::string &title, const std::vector<Series> &series) {
  Range x, y;
  for (const Series &s : series)
    for (const auto &[epoch, value] : s.points) {
      x.add(epoch);
      y.add(value);
    }
  if (!std::isfinite(x.low))
    return "";
  x.widen();
  y.widen();
  const auto px = [&](double v) {
    return kLeft + (v - x.low) / (x.high - x.low) * (kWidth - kLeft - kRight);
  };
  const auto py = [&](double v) {
    return kHeight - kBottom - (v - y.low) / (y.high - y.low) * (kHeight - kTop - kBottom);
  };
  std::string svg = fmt::format("<svg viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" font-size=\"12\">"
                                "<text x=\"{}\" y=\"16\" font-weight=\"bold\">{}</text>\n",
                                kWidth, kHeight, kWidth, kHeight, kLeft, escape(title));
  const double yStep = niceStep(y.high - y.low), xStep = std::max(1.0, niceStep(x.high - x.low));
  for (double v = std::ceil(y.low / yStep) * yStep; v <= y.high + yStep * 1e-9; v += yStep)
    svg += fmt::format("<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>"
                       "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.3g}</text>\n",
                       kLeft, kWidth - kRight, py(v), kLeft - 6, py(v) + 4, v);
  for (double v = std::ceil(x.low / xStep) * xStep; v <= x.high + xStep * 1e-9; v += xStep)
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:g}</text>\n", px(v),
                       kHeight - 14, v);
  double legend = kWidth - kRight;
  for (size_t i = 0; i < series.size(); ++i) {
    const char *colour = kColours[i % std::size(kColours)];
    std::string points;
    for (const auto &[epoch, value] : series[i].points)
      points += fmt::format("{:.1f},{:.1f} ", px(epoch), py(value));
    svg += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\" points=\"{}\"/>", colour,
                       points);
    for (const auto &[epoch, value] : series[i].points)
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"><title>epoch {}: "
                         "{:.5g}</title></circle>",
                         px(epoch), py(value), colour, epoch, value);
    svg += fmt::format("<text x=\"{}\" y=\"16\" text-anchor=\"end\" fill=\"{}\">{}</text>\n", legend, colour,
                       escape(series[i].name));
    legend -= 8 * static_cast<double>(series[i].name.size()) + 12;
  }
  return svg + "</svg>\n";
}

std::string charts(const std::vector<EpochRecord> &epochs) {
  std::vector<std::pair<std::string, std::vector<Series>>> all;
  const auto find = [](auto &list, const std::string &name, auto key) {
    return std::ranges::find_if(list, [&](const auto &item) { return item.*key == name; });
  };
  using Chart = std::pair<std::string, std::vector<Series>>;
  for (const EpochRecord &epoch : epochs)
    for (const auto &[name, value] : epoch.values) {
      if (!std::isfinite(value))
        continue;
      auto c = find(all, chartOf(name), &Chart::first);
      if (c == all.end())
        c = all.insert(all.end(), {chartOf(name), {}});
      auto s = find(c->second, name, &Series::name);
      if (s == c->second.end())
        s = c->second.insert(c->second.end(), {name, {}});
      s->points.emplace_back(static_cast<double>(epoch.epoch), value);
    }
  Series rate{"learning_rate", {}};
  for (const EpochRecord &epoch : epochs)
    rate.points.emplace_back(static_cast<double>(epoch.epoch), epoch.learningRate);
  all.push_back({"learning rate", {rate}});
  std::string html;
  for (const auto &[title, series] : all)
    html += chart(title, series);
  return html;
}

std::string epochTable(const std::vector<EpochRecord> &epochs) {
  if (epochs.empty())
    return "";
  std::string html = "<table><tr><th>epoch</th>";
  for (const auto &[name, value] : epochs.back().values)
    html += fmt::format("<th>{}</th>", escape(name));
  html += "<th>learning rate</th><th>seconds</th><th>examples/s</th></tr>\n";
  for (const EpochRecord &epoch : epochs) {
    html += fmt::format("<tr><td>{}{}</td>", epoch.epoch, epoch.best ? " *" : "");
    for (const auto &[name, value] : epoch.values)
      html += fmt::format("<td>{:.4f}</td>", value);
    html += fmt::format("<td>{:.4g}</td><td>{:.2f}</td><td>{:.0f}</td></tr>\n", epoch.learningRate,
                        epoch.seconds, epoch.examplesPerSecond);
  }
  return html + "</table><p>* best so far</p>\n";
}

std::string stepTable(const std::vector<StepTime> &steps) {
  const double total = std::accumulate(steps.begin(), steps.end(), 0.0,
                                       [](double sum, const StepTime &s) { return sum + s.milliseconds; });
  if (total <= 0)
    return "<p>No times were taken.</p>\n";
  std::string html = "<table><tr><th>kernel</th><th>ms</th><th>share</th><th>memory</th><th></th></tr>\n";
  for (const StepTime &step : steps)
    html += fmt::format("<tr><td>{}</td><td>{:.4f}</td><td>{:.1f} %</td><td>{:.0f} KiB</td><td class=\"bar\">"
                        "<i style=\"width:{:.0f}px\"></i></td></tr>\n",
                        escape(step.name), step.milliseconds, 100 * step.milliseconds / total,
                        static_cast<double>(step.bytes) / 1024, 200 * step.milliseconds / total);
  return html + fmt::format("<tr><th>sum</th><th>{:.4f}</th></tr></table>\n", total);
}

} // namespace

std::string makeReport(const ReportInput &input) {
  return fmt::format("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title>"
                     "<style>{1}</style></head><body>\n<h1>{0}</h1>\n{2}<h2>Epochs</h2>\n{3}"
                     "<h2>The training step</h2>\n{4}<h2>The model</h2>\n<pre>{5}</pre>\n</body></html>\n",
                     escape(input.title), kStyle, charts(input.epochs), epochTable(input.epochs),
                     stepTable(input.steps), escape(input.summary));
}

} // namespace gradc
