//! The same picture as a file: an SVG that is readable on light and on dark pages.

use std::fmt::Write as _;

use crate::chart::{Row, Scale, rows};
use crate::drawing::{human, sentence};
use crate::options::Options;
use crate::record::{Caller, Record};

const WIDTH: f64 = 860.0;
/// Where the chart begins and ends.
const LEFT: f64 = 130.0;
const RIGHT: f64 = WIDTH - 100.0;
const TOP: f64 = 84.0;
const ROW: f64 = 17.0;
/// Between two processes.
const GAP: f64 = 7.0;
const BELOW: f64 = 74.0;

const STYLE: &str = "
text { font: 13px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1c2128 }
.title { font-weight: 650; font-size: 15px } .faint { fill: #59636e } .end { text-anchor: end }
.back { fill: #fff; stroke: #d5dae0 } .grid { stroke: #d5dae0 } .work { fill: #e69f00 }
.wait { stroke: #0b6bb5; stroke-width: 2 } .done { fill: #0a8f5f } .bad { fill: #c4320a }
@media (prefers-color-scheme: dark) {
text { fill: #e6eaf0 } .faint { fill: #9aa6b4 } .back { fill: #1a2029; stroke: #323b47 } .grid { stroke: #323b47 }
.work { fill: #f0ad1f } .wait { stroke: #6db9f2 } .done { fill: #3ccf97 } .bad { fill: #ff7a55 } }
";

pub(crate) fn picture(record: &Record, options: &Options) -> String {
    let rows = rows(record, options);
    let scale = Scale::of(record);
    let groups = rows.iter().filter(|row| !row.process.is_empty()).count();
    let height = TOP + rows.len() as f64 * ROW + groups as f64 * GAP + BELOW;
    let (well, sentence) = sentence(record, options);
    let mut svg = Svg::default();
    svg.put(&format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' viewBox='0 0 {WIDTH} {height}' \
         role='img' aria-label='{sentence}'>\n<title>{sentence}</title>\n<style>{STYLE}</style>"
    ));
    let (width, inner) = (WIDTH - 1.0, height - 1.0);
    svg.put(&format!(
        "<rect class='back' x='.5' y='.5' width='{width}' height='{inner}' rx='8'/>"
    ));
    svg.text(
        18.0,
        30.0,
        if well { "title" } else { "title bad" },
        &sentence,
    );
    svg.axis(&scale, height - BELOW + 6.0);
    let mut y = TOP;
    for row in &rows {
        if !row.process.is_empty() {
            y += GAP;
        }
        svg.row(row, &scale, y + ROW / 2.0);
        y += ROW;
    }
    svg.legend(height - 26.0);
    svg.put("</svg>");
    svg.0
}

#[derive(Default)]
struct Svg(String);

impl Svg {
    fn put(&mut self, element: &str) {
        // A string takes everything.
        let _ = writeln!(self.0, "{element}");
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        self.put(&format!(
            "<text x='{x:.1}' y='{y:.1}' class='{class}'>{text}</text>"
        ));
    }

    fn axis(&mut self, scale: &Scale, bottom: f64) {
        for at in scale.ticks() {
            let x = place(scale, scale.start + at.as_micros() as u64);
            let top = TOP - 8.0;
            self.put(&format!("<path class='grid' d='M{x:.1} {top}V{bottom}'/>"));
            self.text(x, top - 6.0, "faint", &human(at));
        }
    }

    fn row(&mut self, row: &Row, scale: &Scale, y: f64) {
        self.text(18.0, y + 4.5, "", &row.process);
        self.text(LEFT - 12.0, y + 4.5, "faint end", &row.number);
        self.caller(&row.caller, scale, y);
        self.text(WIDTH - 18.0, y + 4.5, "faint end", &row.note);
    }

    fn caller(&mut self, caller: &Caller, scale: &Scale, y: f64) {
        let (Some(called), Some((served, _))) = (caller.called, &caller.served) else {
            return;
        };
        let (from, to) = (place(scale, called), place(scale, *served));
        let (top, bottom) = (y - 4.0, y + 4.0);
        let waits =
            format!("<path class='wait' d='M{from:.1} {top}V{bottom}M{from:.1} {y}H{to:.1}'/>");
        let Some((begun, ended)) = caller.begun.zip(caller.ended) else {
            self.put(&waits);
            self.put(&format!(
                "<circle class='done' cx='{to:.1}' cy='{y}' r='4'/>"
            ));
            return;
        };
        let (begun, ended) = (place(scale, begun), place(scale, ended));
        if begun - from > 2.0 {
            self.put(&waits);
        }
        let (top, width) = (y - 6.0, (ended - begun).max(2.0));
        self.put(&format!(
            "<rect class='work' x='{begun:.1}' y='{top}' width='{width:.1}' height='12' rx='2'/>"
        ));
    }

    fn legend(&mut self, y: f64) {
        let (middle, top, bottom) = (y - 4.5, y - 8.5, y - 0.5);
        let work = y - 10.5;
        self.put(&format!(
            "<rect class='work' x='{LEFT}' y='{work}' width='28' height='12' rx='2'/>"
        ));
        self.text(LEFT + 36.0, y, "faint", "computes");
        let (from, to) = (LEFT + 120.0, LEFT + 148.0);
        self.put(&format!(
            "<path class='wait' d='M{from} {top}V{bottom}M{from} {middle}H{to}'/>\
             <circle class='done' cx='{to}' cy='{middle}' r='4'/>"
        ));
        self.text(to + 10.0, y, "faint", "waits, is served");
        let found = LEFT + 290.0;
        self.put(&format!(
            "<circle class='done' cx='{found}' cy='{middle}' r='4'/>"
        ));
        self.text(found + 10.0, y, "faint", "finds it stored");
    }
}

/// From a time to a place.
fn place(scale: &Scale, at: u64) -> f64 {
    LEFT + scale.share(at) * (RIGHT - LEFT)
}
