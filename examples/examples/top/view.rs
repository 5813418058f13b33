//! Draws what the app knows, in whatever room there is.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState, Wrap};
use worksharing::Computation;

use crate::app::{App, Order};
use crate::input::KEYS;
use crate::text::{counted, harmless, lasting, utc};

/// Less than this has no room for the whole text of the selected row.
const HEIGHT_WITH_DETAIL: u16 = 12;

pub(crate) fn draw(frame: &mut Frame<'_>, app: &App) {
    let area = frame.area();
    let detail = if area.height < HEIGHT_WITH_DETAIL {
        0
    } else {
        3
    };
    let [title, place, table, below, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(detail),
        Constraint::Length(1),
    ])
    .areas(area);
    let shown = app.shown();
    frame.render_widget(summary(app, &shown), title);
    frame.render_widget(state(app), place);
    rows(frame, table, app, &shown);
    if let Some(selected) = app.selection(&shown) {
        frame.render_widget(whole(shown[selected]), below);
    }
    frame.render_widget(bottom(app), keys);
}

fn summary<'a>(app: &App, shown: &[&Computation]) -> Line<'a> {
    let waiting = shown.iter().map(|row| row.waiting as usize).sum();
    let count = counted(shown.len(), "computation", "computations");
    let hidden = match app.count() - shown.len() {
        0 => String::new(),
        hidden => format!(" ({hidden} hidden)"),
    };
    let waiting = counted(waiting, "process waits", "processes wait");
    Line::from(vec![
        Span::from(format!("{count}{hidden}, {waiting}")).bold(),
    ])
}

/// Where it looks, or why it does not see.
fn state(app: &App) -> Line<'_> {
    match &app.trouble {
        Some(trouble) if app.knows() => {
            Line::from(format!("{} ago; since then: {trouble}", lasting(app.age()))).red()
        }
        Some(trouble) => Line::from(trouble.as_str()).red(),
        None => Line::from(app.place.as_str()).dim(),
    }
}

/// A column: its name, what it is sorted by, its width, and the least width of the terminal that has it.
type Column = (&'static str, Order, Constraint, u16);

const COLUMNS: [Column; 5] = [
    ("TIME", Order::Time, Constraint::Length(11), 0),
    ("WAITING", Order::Waiting, Constraint::Length(9), 40),
    ("KEY", Order::Key, Constraint::Fill(3), 0),
    ("FUNCTION", Order::Function, Constraint::Fill(2), 90),
    ("PROCESS", Order::Process, Constraint::Fill(1), 60),
];

fn rows(frame: &mut Frame<'_>, area: Rect, app: &App, shown: &[&Computation]) {
    if shown.is_empty() {
        frame.render_widget(nothing(app), area);
        return;
    }
    let columns = COLUMNS
        .into_iter()
        .filter(|column| column.3 <= area.width)
        .collect::<Vec<_>>();
    let header = columns.iter().map(|column| heading(app, column));
    let rows = shown.iter().map(|row| {
        let cells = columns.iter().map(|column| cell(row, column.1, app.age()));
        Row::new(cells)
    });
    let table = Table::new(rows, columns.iter().map(|column| column.2))
        .header(Row::new(header).style(Style::new().add_modifier(Modifier::UNDERLINED)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(app.selection(shown));
    frame.render_stateful_widget(table, area, &mut state);
}

fn heading(app: &App, column: &Column) -> Cell<'static> {
    let (name, order, ..) = *column;
    if app.order != order {
        return Cell::from(name);
    }
    let arrow = if app.reversed { '▲' } else { '▼' };
    Cell::from(format!("{name} {arrow}")).style(Style::new().bold())
}

fn cell(row: &Computation, column: Order, age: Duration) -> Cell<'static> {
    match column {
        Order::Time => Cell::from(lasting(row.running_for + age)).fg(Color::Yellow),
        Order::Waiting if row.waiting == 0 => Cell::from("–").dim(),
        Order::Waiting => Cell::from(row.waiting.to_string()).bold(),
        Order::Key => Cell::from(harmless(&row.key)),
        Order::Function => Cell::from(harmless(&row.function)).dim(),
        Order::Process => Cell::from(format!("{} {}", row.process, harmless(&row.host))),
    }
}

fn nothing(app: &App) -> Paragraph<'static> {
    let text = match app.count() {
        _ if !app.knows() => "Looking …",
        0 => "Nothing is being computed that has lasted for a second.",
        _ => "Nothing that is being computed has this text in it.",
    };
    Paragraph::new(format!("\n{text}")).wrap(Wrap { trim: false })
}

/// All of one row, whatever has no room above.
fn whole(row: &Computation) -> Paragraph<'static> {
    let text = format!(
        "{}  by {}, in process {} on {}, since {}",
        harmless(&row.key),
        harmless(&row.function),
        row.process,
        harmless(&row.host),
        utc(row.since),
    );
    Paragraph::new(text).wrap(Wrap { trim: false })
}

fn bottom(app: &App) -> Line<'_> {
    if app.typing {
        let keys = Span::from("   Enter: keep   Esc: all").dim();
        Line::from(vec![Span::from(format!("/{}▏", app.filter)).bold(), keys])
    } else if app.filter.is_empty() {
        Line::from(KEYS).dim()
    } else {
        Line::from(format!("/{}   Esc: all   q quit", app.filter)).dim()
    }
}
