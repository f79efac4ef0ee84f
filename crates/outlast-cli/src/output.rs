//! Stdout is data, stderr is talk. The only file that writes to either.

use crate::exit::Fault;
use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use outlast::{Code, Secret};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{self, IsTerminal, Write};

/// What a cell of a table says where there is nothing to say.
pub(crate) const NOTHING: &str = "-";
/// Narrowest terminal that tables are fitted to, in columns.
const FITTED_WIDTH_MIN: u16 = 60;

/// Writes a line of data. A reader that has gone away is no failure of ours.
pub(crate) fn data(line: &str) -> Result<(), Fault> {
    let mut stdout = io::stdout().lock();
    let written =
        stdout.write_all(line.as_bytes()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
    match written {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(unwritten(&cause)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes bytes as they are. A reader that has gone away is no failure of ours.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Fault> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(unwritten(&cause)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a JSON value as data: one line for programs, indented on a terminal.
pub(crate) fn json(value: &serde_json::Value) -> Result<(), Fault> {
    data(&if io::stdout().is_terminal() { still(&format!("{value:#}")) } else { json_line(value) })
}

/// A JSON value in one line that moves no cursor, should it end on a terminal.
pub(crate) fn json_line(value: &serde_json::Value) -> String {
    still(&value.to_string())
}

/// JSON escapes the control characters of ASCII alone. The others, and what turns a line around or
/// cannot be seen, are escaped here: to whoever reads it as JSON it is the same text.
fn still(json: &str) -> String {
    let mut kept = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\u{7f}' || (!character.is_ascii() && character.escape_debug().count() > 1) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                kept.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            kept.push(character);
        }
    }
    kept
}

/// Writes a line of talk. Nothing can be done where even that fails.
pub(crate) fn talk(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Asks on the terminal; nothing at the end of input.
pub(crate) fn ask(question: &str) -> Option<String> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question}: ").and_then(|()| stderr.flush()).ok()?;
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer).ok()?;
    (read > 0).then(|| answer.trim().to_owned())
}

/// Asks for a secret on the terminal, which shows nothing of what is typed; nothing at the end of
/// input, or for an empty answer.
pub(crate) fn ask_secret(question: &str) -> Option<Secret> {
    let stdin = io::stdin();
    let usual = tcgetattr(&stdin).ok()?;
    let mut silent = usual.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &silent).ok()?;
    let answer = ask(question);
    // Whatever was typed: the terminal is given back as it was.
    let _ = tcsetattr(&stdin, OptionalActions::Now, &usual);
    talk("");
    answer.filter(|answer| !answer.is_empty()).map(Secret::new)
}

/// Writes a line over the one before, for what changes while somebody waits.
pub(crate) fn progress(line: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush());
}

/// Whether a person can be asked: input and talk are both on a terminal.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Says why a command failed: for programs as one JSON object, else in three lines.
pub(crate) fn fault(fault: &Fault, as_json: bool) {
    if fault.is_interruption() {
        talk(&fault.text);
        return;
    }
    let page = page(fault.code);
    if as_json {
        let retry_at = fault.retry_at.map(crate::words::rfc3339);
        let object = serde_json::json!({
            "code": fault.code.as_str(),
            "text": fault.text,
            "advice": fault.code.advice().as_str(),
            "what_to_do": fault.what_to_do(),
            "retry_at": retry_at,
            "exit_code": fault.exit_code(),
            "see": page,
        });
        talk(&json_line(&object));
        return;
    }
    let (red, plain) = if stderr_has_colour() { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
    talk(&format!("{red}error[{}]{plain}: {}", fault.code, fault.text));
    talk(&format!("what to do: {}", fault.what_to_do()));
    talk(&format!("see: {page}"));
}

/// The page that explains a code.
pub(crate) fn page(code: Code) -> String {
    format!("docs/errors/{code}.md")
}

/// A table: with lines and fitted to the width on a terminal, bare columns elsewhere. A column that
/// says nothing in any row is left out.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let (head, rows) = without_empty_columns(head, rows);
    let mut table = Table::new();
    // A terminal that does not know its width, or is hardly one, would cut words into letters.
    let fits = table.width().is_some_and(|width| width >= FITTED_WIDTH_MIN);
    if stdout_is_terminal() && fits {
        table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    }
    let states = head.iter().position(|head| *head == "state").filter(|_| stdout_has_colour());
    table.set_header(head);
    for row in rows {
        let cell = |(at, text): (usize, String)| match colour(&text).filter(|_| Some(at) == states) {
            Some(colour) => Cell::new(text).fg(colour),
            None => Cell::new(text),
        };
        table.add_row(row.into_iter().enumerate().map(cell));
    }
    table.trim_fmt()
}

fn without_empty_columns<'h>(head: &[&'h str], rows: Vec<Vec<String>>) -> (Vec<&'h str>, Vec<Vec<String>>) {
    let says = |column: usize| rows.iter().any(|row| row.get(column).is_some_and(|cell| cell != NOTHING));
    let kept: Vec<usize> = (0..head.len()).filter(|column| says(*column)).collect();
    let cells = |row: &Vec<String>| kept.iter().filter_map(|column| row.get(*column).cloned()).collect();
    (kept.iter().map(|column| head[*column]).collect(), rows.iter().map(cells).collect())
}

/// A word of state in the colour that goes with it, on a terminal that wants any.
pub(crate) fn coloured(state: &str) -> String {
    coloured_as(state, state)
}

/// Some text in the colour of a state.
pub(crate) fn coloured_as(state: &str, text: &str) -> String {
    let number = match colour(state).filter(|_| stdout_has_colour() && !text.is_empty()) {
        Some(Color::Green) => 32,
        Some(Color::Cyan) => 36,
        Some(Color::Yellow) => 33,
        Some(Color::Red) => 31,
        Some(_) | None => return text.to_owned(),
    };
    format!("\u{1b}[{number}m{text}\u{1b}[0m")
}

fn colour(state: &str) -> Option<Color> {
    match state {
        "done" | "closed" => Some(Color::Green),
        "running" => Some(Color::Cyan),
        "parked" | "rerun" => Some(Color::Yellow),
        "ambiguous" | "failed" | "poisoned" | "unreadable" => Some(Color::Red),
        _ => None,
    }
}

/// How much of a whole there is, in so many columns.
pub(crate) fn bar(part: usize, whole: usize, width: usize) -> String {
    let full = (part.min(whole) * width).checked_div(whole).unwrap_or(0);
    format!("[{}{}]", "#".repeat(full), ".".repeat(width - full))
}

/// Whether a person reads the data.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a person reads the talk.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether this runs in a terminal that sends it signals.
pub(crate) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Clears the terminal and goes to its top left corner.
pub(crate) fn clear_screen() -> Result<(), Fault> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(b"\x1b[H\x1b[2J").and_then(|()| stdout.flush()).map_err(|cause| unwritten(&cause))
}

fn stdout_has_colour() -> bool {
    stdout_is_terminal() && !crate::env::no_colour()
}

fn stderr_has_colour() -> bool {
    stderr_is_terminal() && !crate::env::no_colour()
}

fn unwritten(cause: &io::Error) -> Fault {
    Fault::new(Code::StoreUnwritable, format!("the output could not be written: {cause}"))
        .mend("make room where the output goes, then run the command again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_says_nothing_is_left_out_and_the_others_keep_their_heads() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = vec![row(["crm", NOTHING, "live"]), row(["ci", NOTHING, NOTHING])];
        let (head, rows) = without_empty_columns(&["grant", "grant ends", "standing"], rows);
        assert_eq!(head, ["grant", "standing"]);
        assert_eq!(rows, [["crm", "live"], ["ci", NOTHING]]);
    }
}
