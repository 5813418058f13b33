//! Which key does what.

use ratatui::crossterm::event::{Event, KeyCode, KeyModifiers};

use crate::app::{App, Order};

/// As the bottom line says it.
pub(crate) const KEYS: &str =
    "q quit  / filter  ↑↓ select  sort: [t]ime [w]aiting [k]ey [f]unction [p]rocess";

/// Rows of a page. A terminal has more, or scrolls.
const PAGE: isize = 10;

pub(crate) fn take(app: &mut App, event: &Event) {
    let Event::Key(key) = event else { return };
    if !key.is_press() {
        return;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        if key.code == KeyCode::Char('c') {
            app.quit();
        }
    } else if app.typing {
        edit(app, key.code);
    } else {
        command(app, key.code);
    }
}

/// While the filter is typed.
fn edit(app: &mut App, key: KeyCode) {
    match key {
        KeyCode::Char(letter) => app.filter.push(letter),
        KeyCode::Backspace => drop(app.filter.pop()),
        KeyCode::Enter => app.typing = false,
        KeyCode::Esc => {
            app.filter.clear();
            app.typing = false;
        }
        _ => move_by(app, key),
    }
}

fn command(app: &mut App, key: KeyCode) {
    match key {
        KeyCode::Char('q') => app.quit(),
        // First back to everything, then out.
        KeyCode::Esc if app.filter.is_empty() => app.quit(),
        KeyCode::Esc => app.filter.clear(),
        KeyCode::Char('/') => app.typing = true,
        KeyCode::Char('t') => app.sort_by(Order::Time),
        KeyCode::Char('w') => app.sort_by(Order::Waiting),
        KeyCode::Char('k') => app.sort_by(Order::Key),
        KeyCode::Char('f') => app.sort_by(Order::Function),
        KeyCode::Char('p') => app.sort_by(Order::Process),
        _ => move_by(app, key),
    }
}

fn move_by(app: &mut App, key: KeyCode) {
    match key {
        KeyCode::Up => app.move_selection(-1),
        KeyCode::Down => app.move_selection(1),
        KeyCode::PageUp => app.move_selection(-PAGE),
        KeyCode::PageDown => app.move_selection(PAGE),
        KeyCode::Home => app.move_selection(isize::MIN),
        KeyCode::End => app.move_selection(isize::MAX),
        _ => {}
    }
}
