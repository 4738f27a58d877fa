//! Draws figures as an SVG: one panel a job, one bar a subject, the median as the bar and the best
//! round as a tick. Readable on light and dark pages; no scripts, no fonts of its own.

use std::fmt::Write;

use serde_json::Value;

use crate::{disk, figures::short, lode};

const WIDTH: f64 = 720.0;
const LABEL: f64 = 170.0;
const NUMBERS: f64 = 130.0;
const BAR: f64 = 18.0;
const STEP: f64 = 26.0;
const HEAD: f64 = 34.0;
const TOP: f64 = 46.0;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#222}.t{font-weight:600}\
.m{fill:#666;font-size:11px}.b{fill:#9aa5b1}.d{fill:#c9b458}.o{fill:#2f6fde}.k{stroke:#222;stroke-width:2}\
@media(prefers-color-scheme:dark){text{fill:#e6e6e6}.m{fill:#9a9a9a}.b{fill:#6b7785}.d{fill:#a8923a}\
.o{fill:#5b93f5}.k{stroke:#e6e6e6}}";

/// One bar.
struct Bar {
    subject: String,
    median: f64,
    best: f64,
    ratio: Option<f64>,
}

/// The bars of one job.
struct Panel {
    title: String,
    bars: Vec<Bar>,
}

/// Draws the `figures` of a report; none where it has no figures.
pub fn svg(report: &Value) -> Option<String> {
    let panels = panels(report)?;
    let bars: f64 = panels
        .iter()
        .flat_map(|panel| &panel.bars)
        .map(|_| STEP)
        .sum();
    let height = TOP + bars + panels.iter().map(|_| HEAD).sum::<f64>();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\
         <style>{STYLE}</style>\n"
    );
    let text = |name: &str| {
        report
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let machine = report.get("machine").unwrap_or(&Value::Null);
    let of = |name: &str| machine.get(name).map_or(String::new(), plain);
    let head = escape(&format!("benches {}", text("bench")));
    let where_from = escape(&format!(
        "{} × {}, Linux {}, {}, commit {}",
        of("cores"),
        of("cpu"),
        of("kernel"),
        of("filesystem"),
        of("commit")
    ));
    line(
        &mut out,
        &format!("<text class=\"t\" x=\"4\" y=\"18\">{head}</text>"),
    );
    line(
        &mut out,
        &format!("<text class=\"m\" x=\"4\" y=\"34\">{where_from}</text>"),
    );
    let mut y = TOP;
    for panel in &panels {
        y = draw(&mut out, panel, y);
    }
    out.push_str("</svg>\n");
    Some(out)
}

fn panels(report: &Value) -> Option<Vec<Panel>> {
    let mut panels: Vec<Panel> = Vec::new();
    for figure in report.get("figures")?.as_array()? {
        let title = format!(
            "{} ({})",
            figure.get("what")?.as_str()?,
            figure.get("unit")?.as_str()?
        );
        let bar = Bar {
            subject: figure.get("subject")?.as_str()?.to_owned(),
            median: figure.get("median")?.as_f64()?,
            best: figure.get("best")?.as_f64()?,
            ratio: figure.get("of_limit").and_then(Value::as_f64),
        };
        match panels.iter_mut().find(|panel| panel.title == title) {
            Some(panel) => panel.bars.push(bar),
            None => panels.push(Panel {
                title,
                bars: vec![bar],
            }),
        }
    }
    (!panels.is_empty()).then_some(panels)
}

/// Draws a panel from `y` down and returns where it ends.
fn draw(out: &mut String, panel: &Panel, y: f64) -> f64 {
    let largest = panel
        .bars
        .iter()
        .map(|bar| bar.best.max(bar.median))
        .fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LABEL - NUMBERS) / largest;
    line(
        out,
        &format!(
            "<text class=\"t\" x=\"4\" y=\"{:.0}\">{}</text>",
            y + 22.0,
            escape(&panel.title)
        ),
    );
    let mut at = y + HEAD;
    for bar in &panel.bars {
        let class = match bar.subject.as_str() {
            disk::NAME => "d",
            subject if subject.starts_with(lode::NAME) => "o",
            _ => "b",
        };
        let (end, best) = (LABEL + bar.median * scale, LABEL + bar.best * scale);
        let base = at + BAR - 4.0;
        let ratio = bar
            .ratio
            .map_or(String::new(), |ratio| format!(" · {:.0} %", ratio * 100.0));
        let subject = escape(&bar.subject);
        let width = end - LABEL;
        line(
            out,
            &format!(
                "<text x=\"{:.0}\" y=\"{base:.0}\" text-anchor=\"end\">{subject}</text>",
                LABEL - 8.0
            ),
        );
        line(
            out,
            &format!(
                "<rect class=\"{class}\" x=\"{LABEL}\" y=\"{at:.0}\" width=\"{width:.1}\" height=\"{BAR}\"/>"
            ),
        );
        let low = at + BAR;
        line(
            out,
            &format!(
                "<line class=\"k\" x1=\"{best:.1}\" y1=\"{at:.0}\" x2=\"{best:.1}\" y2=\"{low:.0}\"/>"
            ),
        );
        let text = best.max(end) + 8.0;
        line(
            out,
            &format!(
                "<text x=\"{text:.0}\" y=\"{base:.0}\">{}{ratio}</text>",
                short(bar.median, 0)
            ),
        );
        at += STEP;
    }
    at
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes any text");
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::svg;

    /// Proves that bars keep proportion, names are escaped, and each figure is drawn once.
    #[test]
    fn draws_every_figure() {
        let figure = |what: &str, subject: &str, rate: f64| {
            let unit = "MB/s";
            json!({"what": what, "subject": subject, "unit": unit, "median": rate, "best": rate})
        };
        let figures = [
            figure("write", "disk", 1000.0),
            figure("write", "a<b", 250.0),
            figure("read", "lode", 5.0),
        ];
        let report = json!({"bench": "store", "figures": figures});
        let drawn = svg(&report).unwrap();
        assert!(drawn.contains("a&lt;b") && !drawn.contains("a<b"));
        let widths: Vec<&str> = drawn
            .lines()
            .filter_map(|line| {
                line.strip_prefix("<rect ")?
                    .split("width=\"")
                    .nth(1)?
                    .split('"')
                    .next()
            })
            .collect();
        assert_eq!(widths, ["420.0", "105.0", "420.0"]);
        assert_eq!(drawn.matches("class=\"t\"").count(), 3);
    }

    /// Proves that a report without figures has no plot, rather than an empty one.
    #[test]
    fn draws_nothing_from_nothing() {
        assert!(svg(&json!({"bench": "x"})).is_none());
        assert!(svg(&json!({"figures": []})).is_none());
    }
}
