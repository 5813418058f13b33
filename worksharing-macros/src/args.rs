use std::collections::HashSet;
use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, ExprClosure, Ident, Lit, LitStr, Path, Token};

use crate::duration;
use crate::hints;
use crate::mistakes::Mistakes;
use crate::value::{Value, skip_to_comma};

/// The options between the parentheses of `#[work_shared(…)]`.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) ttl: Option<Ttl>,
    pub(crate) key: Option<KeyForm>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) skip_span: Option<Span>,
    pub(crate) skip_all: Option<Span>,
    pub(crate) force_refresh: Option<Expr>,
    pub(crate) via: Option<Expr>,
    pub(crate) cache_if: Option<Rule>,
    pub(crate) cache_none: Option<Span>,
    pub(crate) keep_err: bool,
    pub(crate) version: Option<Expr>,
    pub(crate) handle: Option<Handle>,
    pub(crate) name: Option<LitStr>,
    pub(crate) krate: Option<Path>,
}

pub(crate) enum Ttl {
    Fixed(Duration),
    Expr(Expr),
    Closure(Rule),
}

pub(crate) enum KeyForm {
    Template(LitStr),
    Expr(Expr),
}

/// A question to the computed value.
pub(crate) enum Rule {
    Closure(ExprClosure),
    Function(Expr),
}

/// `handle = ident`, or `handle = Self::ident` for an associated function without `self`.
pub(crate) struct Handle {
    pub(crate) ident: Ident,
    pub(crate) of_self: Option<Ident>,
}

impl Args {
    pub(crate) fn parse(options: TokenStream, mistakes: &mut Mistakes) -> Self {
        let mut args = Self::default();
        let parser = |input: ParseStream<'_>| {
            args.parse_all(input, mistakes);
            Ok(())
        };
        if let Err(error) = parser.parse2(options) {
            mistakes.add(error);
        }
        args
    }

    fn parse_all(&mut self, input: ParseStream<'_>, mistakes: &mut Mistakes) {
        let mut seen = HashSet::new();
        while !input.is_empty() {
            if let Err(error) = self.parse_option(input, &mut seen, mistakes) {
                mistakes.add(error);
                skip_to_comma(input);
            }
            let _ = input.parse::<Option<Token![,]>>();
        }
    }

    fn parse_option(
        &mut self,
        input: ParseStream<'_>,
        seen: &mut HashSet<String>,
        mistakes: &mut Mistakes,
    ) -> syn::Result<()> {
        let Ok(name) = input.call(Ident::parse_any) else {
            return Err(input.error("write an option here, like `ttl = \"60s\"`"));
        };
        let value = Value::parse(input)?;
        if !input.is_empty() && !input.peek(Token![,]) {
            return Err(input.error("write a `,` between two options"));
        }
        if !seen.insert(name.to_string()) {
            let message = format!("`{name}` is given twice: remove one of them");
            return Err(syn::Error::new(name.span(), message));
        }
        self.set(&name, value, mistakes)
    }

    fn set(&mut self, name: &Ident, value: Value, mistakes: &mut Mistakes) -> syn::Result<()> {
        match name.to_string().as_str() {
            "ttl" => self.ttl = Some(ttl(value.expr(name, "ttl = \"60s\"")?)?),
            "key" => self.key = Some(key(value.expr(name, "key = \"report:{year}\"")?)),
            "skip" => {
                self.skip = value.list(name)?;
                self.skip_span = Some(name.span());
            }
            "skip_all" => self.skip_all = Some(value.flag(name)?),
            "force_refresh" => {
                self.force_refresh = Some(value.expr(name, "force_refresh = argument")?);
            }
            "via" => self.via = Some(value.expr(name, "via = state.sharing")?),
            "cache_if" => self.cache_if = Some(rule(value.expr(name, "cache_if = |value| …")?)),
            "cache_none" => self.cache_none = Some(value.flag(name)?),
            "share_err" => self.keep_err = keep_err(value.expr(name, "share_err = false")?)?,
            "version" => self.version = Some(version(value.expr(name, "version = 2")?)?),
            "handle" => self.handle = Some(handle(value.expr(name, "handle = report_call")?)?),
            "name" => self.name = Some(label(value.expr(name, "name = \"reports\"")?)?),
            "crate" => {
                self.krate = Some(krate(value.expr(name, "crate = path::to::worksharing")?)?)
            }
            other => mistakes.at(
                name.span(),
                hints::unknown_option(other, value.text().as_deref()),
            ),
        }
        Ok(())
    }
}

fn ttl(expr: Expr) -> syn::Result<Ttl> {
    let literal = match expr {
        Expr::Closure(closure) => return Ok(Ttl::Closure(Rule::Closure(closure))),
        Expr::Lit(literal) => literal.lit,
        other => return Ok(Ttl::Expr(other)),
    };
    let message = match &literal {
        Lit::Str(text) => match duration::parse(&text.value()) {
            Ok(duration) => return Ok(Ttl::Fixed(duration)),
            Err(message) => message,
        },
        Lit::Int(number) => {
            let seconds = hints::in_seconds(Some(number.base10_digits()));
            format!("a number has no unit: write `ttl = \"{seconds}\"`")
        }
        _ => "write a duration, like `ttl = \"60s\"`".into(),
    };
    Err(syn::Error::new(literal.span(), message))
}

fn key(expr: Expr) -> KeyForm {
    match expr {
        Expr::Lit(literal) => match literal.lit {
            Lit::Str(template) => KeyForm::Template(template),
            lit => KeyForm::Expr(Expr::Lit(syn::ExprLit {
                attrs: literal.attrs,
                lit,
            })),
        },
        other => KeyForm::Expr(other),
    }
}

fn rule(expr: Expr) -> Rule {
    match expr {
        Expr::Closure(closure) => Rule::Closure(closure),
        other => Rule::Function(other),
    }
}

/// `share_err = false`.
fn keep_err(expr: Expr) -> syn::Result<bool> {
    match &expr {
        Expr::Lit(literal) if matches!(&literal.lit, Lit::Bool(yes) if !yes.value) => Ok(true),
        _ => Err(syn::Error::new_spanned(
            expr,
            "errors that are `Clone` are shared: write `share_err = false`, or remove it",
        )),
    }
}

fn version(expr: Expr) -> syn::Result<Expr> {
    let fits = match &expr {
        Expr::Lit(literal) => {
            matches!(&literal.lit, Lit::Int(int) if int.base10_parse::<u32>().is_ok())
        }
        Expr::Unary(_) => false,
        _ => true,
    };
    let message = "write a whole number from 0 to 4294967295, like `version = 2`";
    if fits {
        Ok(expr)
    } else {
        Err(syn::Error::new_spanned(expr, message))
    }
}

fn handle(expr: Expr) -> syn::Result<Handle> {
    let wrong = syn::Error::new_spanned(
        &expr,
        "write a name for the new function, like `handle = report_call`; \
         `handle = Self::report_call` for an associated function without `self`",
    );
    let Expr::Path(path) = expr else {
        return Err(wrong);
    };
    let mut segments: Vec<_> = path
        .path
        .segments
        .into_iter()
        .map(|segment| segment.ident)
        .collect();
    match (segments.pop(), segments.pop(), segments.pop()) {
        (Some(ident), None, None) => Ok(Handle {
            ident,
            of_self: None,
        }),
        (Some(ident), Some(of_self), None) if of_self == "Self" => Ok(Handle {
            ident,
            of_self: Some(of_self),
        }),
        _ => Err(wrong),
    }
}

fn label(expr: Expr) -> syn::Result<LitStr> {
    match expr {
        Expr::Lit(syn::ExprLit {
            lit: Lit::Str(label),
            ..
        }) if !label.value().is_empty() => Ok(label),
        other => Err(syn::Error::new_spanned(
            other,
            "write a string literal, like `name = \"reports\"`",
        )),
    }
}

fn krate(expr: Expr) -> syn::Result<Path> {
    match expr {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path),
        other => {
            let message = "write a path without quotes, like `crate = other::worksharing`";
            Err(syn::Error::new_spanned(other, message))
        }
    }
}
