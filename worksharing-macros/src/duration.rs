use std::time::Duration;

const UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

const WRITE: &str =
    "write a number with a unit, like \"250ms\", \"60s\", \"10m\", \"1h 30m\" or \"7d\"";

/// Reads `"60s"`, `"1h 30m"`, `"250ms"`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut total = 0u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(format!("an empty duration: {WRITE}"));
    }
    while !rest.is_empty() {
        let (millis, after) = part(rest)?;
        total = total.checked_add(millis).ok_or_else(|| too_long(text))?;
        rest = after.trim_start();
    }
    match total {
        0 => Err("a duration of zero: write at least \"1ms\", or remove the option".into()),
        // What the servers count in, signed.
        millis if i64::try_from(millis).is_err() => Err(too_long(text)),
        millis => Ok(Duration::from_millis(millis)),
    }
}

/// One number and its unit, in milliseconds, and what follows.
fn part(text: &str) -> Result<(u64, &str), String> {
    let (number, after) = split_where(text, |c| !c.is_ascii_digit());
    if number.is_empty() {
        return Err(format!("`{text}` does not begin with a number: {WRITE}"));
    }
    let (unit, rest) = split_where(after.trim_start(), |c| !c.is_alphabetic());
    if unit.is_empty() && rest.starts_with('.') {
        return Err(format!(
            "`{text}` has a fraction: write it in a smaller unit, like \"1h 30m\""
        ));
    }
    if unit.is_empty() {
        return Err(format!(
            "`{number}` has no unit: write \"{number}s\" for {number} seconds"
        ));
    }
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(unknown_unit(number, unit));
    };
    let number: u64 = number.parse().map_err(|_| too_long(text))?;
    let millis = number.checked_mul(*factor).ok_or_else(|| too_long(text))?;
    Ok((millis, rest))
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

fn unknown_unit(number: &str, unit: &str) -> String {
    let lower = unit.to_lowercase();
    let meant = match lower.as_str() {
        "sec" | "secs" | "second" | "seconds" => "s",
        "mins" | "minute" | "minutes" => "m",
        "hr" | "hrs" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        "week" | "weeks" => "w",
        "milli" | "millis" | "msec" | "millisecond" | "milliseconds" => "ms",
        // A capital M is no unit: elsewhere it means months.
        other if unit != "M" && UNITS.iter().any(|(name, _)| *name == other) => other,
        _ => return format!("unknown unit `{unit}`: the units are ms, s, m, h, d, w"),
    };
    format!("unknown unit `{unit}`: write \"{number}{meant}\"")
}

fn too_long(text: &str) -> String {
    format!("`{text}` is too long to count in milliseconds: write a shorter time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units_and_sums() {
        let cases = [
            ("60s", 60_000),
            ("1h 30m", 5_400_000),
            ("1h30min", 5_400_000),
            ("250ms", 250),
            (" 2 d ", 172_800_000),
            ("1w", 604_800_000),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_and_says_what_to_write() {
        let cases = [
            ("", "an empty duration"),
            ("60", "write \"60s\""),
            ("s", "does not begin with a number"),
            ("-1s", "does not begin with a number"),
            ("1.5h", "has a fraction"),
            ("0s", "of zero"),
            ("10 minutes", "write \"10m\""),
            ("5S", "write \"5s\""),
            ("3M", "the units are"),
            ("1y", "the units are"),
            ("99999999999999999999s", "too long"),
            ("18446744073709551615ms", "too long"),
            ("9223372036854775807ms 1ms", "too long"),
        ];
        for (text, part) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
