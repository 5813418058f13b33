use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt as _;
use syn::visit_mut::VisitMut;
use syn::{Expr, LitStr};

use crate::hints;
use crate::mistakes::Mistakes;
use crate::placeholder::{Parts, root, spec_problem};
use crate::work_fn::{Form, WorkFn};

/// A template of a key or of a tag, checked.
pub(crate) struct Template {
    pieces: Vec<Piece>,
    span: Span,
}

enum Piece {
    /// As it stands in a format string: braces doubled.
    Text(String),
    /// A value, and how it is formatted: `:?`.
    Value(Expr, String),
}

impl Template {
    pub(crate) fn parse(literal: &LitStr, function: &WorkFn, mistakes: &mut Mistakes) -> Self {
        let text = literal.value();
        let mut parser = Parser {
            literal,
            text: &text,
            function,
            mistakes,
            pieces: Vec::new(),
        };
        parser.run();
        Self {
            pieces: parser.pieces,
            span: literal.span(),
        }
    }

    /// What fills the placeholders.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Expr> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(value, _) => Some(value),
            Piece::Text(_) => None,
        })
    }

    /// The expression of the text.
    pub(crate) fn expand(&self, private: &TokenStream) -> TokenStream {
        let (format, values) = (self.format(), self.values());
        quote_spanned!(self.span()=> #private::format!(#format #(, #values)*))
    }

    /// The same, not written yet.
    pub(crate) fn arguments(&self, private: &TokenStream) -> TokenStream {
        let (format, values) = (self.format(), self.values());
        quote_spanned!(self.span()=> #private::format_args!(#format #(, #values)*))
    }

    /// `"report:{year}:{user.id:?}"` → `"report:{}:{:?}"`.
    fn format(&self) -> LitStr {
        let mut format = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => format.push_str(text),
                Piece::Value(_, spec) => format.extend(["{", spec, "}"]),
            }
        }
        LitStr::new(&format, self.span)
    }

    /// [`expand`](Self::expand), in the room of a text that was used before, and piece by piece:
    /// ```text
    /// {
    ///     let mut text = take();
    ///     text.push_str("report:");
    ///     Piece::new(&year).__put(&mut text);
    ///     text
    /// }
    /// ```
    pub(crate) fn expand_in_place(&self, private: &TokenStream) -> TokenStream {
        // Whatever is formatted in a way of its own is left to the library that knows how.
        let is_plain = |piece: &Piece| !matches!(piece, Piece::Value(_, spec) if !spec.is_empty());
        if !self.pieces.iter().all(is_plain) {
            let arguments = self.arguments(private);
            return quote_spanned!(self.span()=> #private::written(#arguments));
        }
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => {
                let text = text.replace("{{", "{").replace("}}", "}");
                quote_spanned!(self.span()=> __text.push_str(#text);)
            }
            Piece::Value(value, _) => {
                quote_spanned!(self.span()=> #private::Piece::new(&#value).__put(&mut __text);)
            }
        });
        quote_spanned! {self.span()=> {
            let mut __text = #private::take();
            #(#pieces)*
            __text
        }}
    }

    pub(crate) fn span(&self) -> Span {
        Span::mixed_site().located_at(self.span)
    }
}

struct Parser<'a> {
    literal: &'a LitStr,
    text: &'a str,
    function: &'a WorkFn,
    mistakes: &'a mut Mistakes,
    pieces: Vec<Piece>,
}

impl Parser<'_> {
    fn run(&mut self) {
        let mut at = 0;
        while let Some(c) = self.text[at..].chars().next() {
            let doubled = self.text[at + c.len_utf8()..].starts_with(c);
            match c {
                '{' | '}' if doubled => {
                    self.push_text([c, c]);
                    at += 2;
                }
                '{' => at = self.placeholder(at),
                '}' => {
                    self.mistake(at..at + 1, "a `}` without a `{`: write `}}` for a brace");
                    at += 1;
                }
                _ => {
                    self.push_text([c]);
                    at += c.len_utf8();
                }
            }
        }
    }

    /// The text goes on with these.
    fn push_text(&mut self, more: impl IntoIterator<Item = char>) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.extend(more),
            _ => self.pieces.push(Piece::Text(more.into_iter().collect())),
        }
    }

    /// Reads the placeholder that begins here, and returns where it ends.
    fn placeholder(&mut self, start: usize) -> usize {
        let inside = &self.text[start + 1..];
        let Some(parts) = Parts::split(inside) else {
            let message = "a `{` without a `}`: write `{{` for a brace";
            self.mistake(start..self.text.len(), message);
            return self.text.len();
        };
        let end = start + 1 + parts.length;
        let range = start..end;
        if let Some(problem) = parts.spec.and_then(spec_problem) {
            self.mistake(
                range,
                &format!("in `{{{}}}`: {problem}", &inside[..parts.length - 1]),
            );
        } else if let Some(value) = self.value(parts.value.trim(), range) {
            let spec = parts.spec.map(|spec| format!(":{spec}"));
            self.pieces
                .push(Piece::Value(value, spec.unwrap_or_default()));
        }
        end
    }

    fn value(&mut self, text: &str, range: std::ops::Range<usize>) -> Option<Expr> {
        let named = match self.named(text) {
            Ok(named) => named,
            Err(problem) => {
                self.mistake(range, &problem);
                return None;
            }
        };
        let Ok(mut value) = LitStr::new(&named, self.span(range.clone())).parse::<Expr>() else {
            let message = format!(
                "`{text}` is not an expression: write `{{argument}}`, `{{argument.field}}` or `{{argument.method()}}`"
            );
            self.mistake(range, &message);
            return None;
        };
        if let Some(problem) = self.unknown_root(&value) {
            self.mistake(range, &problem);
            return None;
        }
        AsArguments {
            function: self.function,
        }
        .visit_expr_mut(&mut value);
        Some(value)
    }

    /// `0.x` → `first_argument.x`, `type` → `r#type`.
    fn named(&self, text: &str) -> Result<String, String> {
        if text.is_empty() {
            return Err(format!("`{{}}` names no argument: {}", self.offer()));
        }
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        if digits > 0 {
            return Ok(format!(
                "{}{}",
                self.positional(&text[..digits])?,
                &text[digits..]
            ));
        }
        let end = text
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(text.len());
        let raw = self
            .function
            .variables()
            .find(|name| **name == format!("r#{}", &text[..end]));
        Ok(match raw {
            Some(name) => format!("{name}{}", &text[end..]),
            None => text.to_owned(),
        })
    }

    fn positional(&self, digits: &str) -> Result<&Ident, String> {
        let mut others = self
            .function
            .params
            .iter()
            .filter(|param| !param.is_receiver());
        let param = digits.parse().ok().and_then(|index| others.nth(index));
        match param.map(|param| &param.form) {
            Some(Form::Named(ident)) => Ok(ident),
            Some(_) => Err(format!(
                "argument {digits} has no name of its own: give it one, or name its parts"
            )),
            None => Err(format!("there is no argument {digits}: {}", self.offer())),
        }
    }

    /// A variable that the function does not have is told of here, where it can be guessed what was
    /// meant. Constants and paths are left to the compiler.
    fn unknown_root(&self, value: &Expr) -> Option<String> {
        let Expr::Path(path) = root(value) else {
            return None;
        };
        let name = path.path.get_ident()?;
        let known = name == "self" && self.function.receiver().is_some()
            || self
                .function
                .variables()
                .any(|variable| variable.unraw() == name.unraw());
        if known || name.to_string().starts_with(char::is_uppercase) {
            return None;
        }
        if name == "self" {
            return Some(format!("there is no `self` here: {}", self.offer()));
        }
        let names: Vec<String> = self.function.variables().map(ToString::to_string).collect();
        Some(
            match hints::closest(&name.to_string(), names.iter().map(String::as_str)) {
                Some(meant) => format!("there is no argument `{name}`: did you mean `{meant}`?"),
                None => format!("there is no argument `{name}`: {}", self.offer()),
            },
        )
    }

    fn offer(&self) -> String {
        let mut names: Vec<String> = self.function.variables().map(ToString::to_string).collect();
        if self.function.receiver().is_some() {
            names.insert(0, "self".into());
        }
        match names.len() {
            0 => "the function has no arguments".into(),
            1 => format!("the only argument is {}", hints::list(&names)),
            _ => format!("the arguments are {}", hints::list(&names)),
        }
    }

    fn mistake(&mut self, range: std::ops::Range<usize>, message: &str) {
        self.mistakes.at(self.span(range), message);
    }

    /// The place inside the literal, where the compiler gives it away and nothing is escaped.
    fn span(&self, range: std::ops::Range<usize>) -> Span {
        let token = self.literal.token();
        let plain = token.to_string() == format!("\"{}\"", self.text);
        let inside = plain
            .then(|| token.subspan(range.start + 1..range.end + 1))
            .flatten();
        inside.unwrap_or_else(|| self.literal.span())
    }
}

/// Gives the variables of a template the hygiene of the arguments that they name: a macro by example
/// may have made the two in different places.
struct AsArguments<'a> {
    function: &'a WorkFn,
}

impl VisitMut for AsArguments<'_> {
    fn visit_ident_mut(&mut self, ident: &mut Ident) {
        let mut variables = self.function.variables().chain(self.function.receiver());
        if let Some(argument) = variables.find(|variable| **variable == *ident) {
            ident.set_span(ident.span().resolved_at(argument.span()));
        }
    }

    // The names of fields and methods are no variables.
    fn visit_member_mut(&mut self, _: &mut syn::Member) {}

    fn visit_expr_method_call_mut(&mut self, call: &mut syn::ExprMethodCall) {
        self.visit_expr_mut(&mut call.receiver);
        call.args
            .iter_mut()
            .for_each(|argument| self.visit_expr_mut(argument));
    }
}
