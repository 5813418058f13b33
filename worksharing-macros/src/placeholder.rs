//! The inside of a template's braces.

use syn::Expr;

/// A placeholder without its braces, and how long it is with the closing one.
pub(crate) struct Parts<'a> {
    pub(crate) value: &'a str,
    pub(crate) spec: Option<&'a str>,
    pub(crate) length: usize,
}

impl<'a> Parts<'a> {
    /// Splits at the first `:` that stands in no parentheses, quotes or `::`.
    pub(crate) fn split(inside: &'a str) -> Option<Self> {
        let (mut depth, mut quoted, mut colon, mut before) = (0u32, false, None, ' ');
        for (at, c) in inside.char_indices() {
            let pair = before == ':' || inside[at + c.len_utf8()..].starts_with(':');
            match c {
                '"' if before != '\\' => quoted = !quoted,
                _ if quoted => {}
                '(' | '[' | '{' => depth += 1,
                ')' | ']' => depth = depth.saturating_sub(1),
                '}' if depth > 0 => depth -= 1,
                '}' => return Some(Self::of(inside, at, colon)),
                ':' if depth == 0 && colon.is_none() && !pair => colon = Some(at),
                _ => {}
            }
            before = c;
        }
        None
    }

    fn of(inside: &'a str, end: usize, colon: Option<usize>) -> Self {
        Self {
            value: &inside[..colon.unwrap_or(end)],
            spec: colon.map(|colon| &inside[colon + 1..end]),
            length: end + 1,
        }
    }
}

/// What is wrong with a format spec: `[[fill]align][sign]['#']['0'][width]['.' precision][type]`.
pub(crate) fn spec_problem(spec: &str) -> Option<String> {
    let mut rest = spec.trim_end();
    let is_align = |c: char| "<^>".contains(c);
    let mut chars = rest.chars();
    match (chars.next(), chars.next()) {
        (Some(_), Some(align)) if is_align(align) => rest = chars.as_str(),
        (Some(align), _) if is_align(align) => rest = &rest[1..],
        _ => {}
    }
    if rest.contains(['$', '*']) {
        return Some(
            "widths and precisions from arguments are not possible here: write numbers".into(),
        );
    }
    let rest = rest.trim_start_matches(['+', '-']).trim_start_matches('#');
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    match rest {
        "" | "?" | "x?" | "X?" | "x" | "X" | "o" | "b" | "e" | "E" | "p" => None,
        _ => Some(format!(
            "`{spec}` is not a format: write `{{argument}}` or `{{argument:?}}`"
        )),
    }
}

/// `user` of `user.address.city()[0]`.
pub(crate) fn root(value: &Expr) -> &Expr {
    match value {
        Expr::Field(field) => root(&field.base),
        Expr::MethodCall(call) => root(&call.receiver),
        Expr::Index(index) => root(&index.expr),
        Expr::Paren(paren) => root(&paren.expr),
        Expr::Reference(reference) => root(&reference.expr),
        Expr::Unary(unary) => root(&unary.expr),
        other => other,
    }
}
