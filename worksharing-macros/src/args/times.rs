//! The values of options about time, and about what becomes of a computation.

use std::time::Duration;

use syn::spanned::Spanned as _;
use syn::{Expr, Ident, Lit, LitStr};

use super::forms::rule;
use super::{Jitter, OnTimeout, ShareErr, Time, Ttl};
use crate::value::Value;
use crate::{duration, hints};

/// Ten years, as the runtime has it.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

pub(super) fn ttl(name: &Ident, value: Value) -> syn::Result<Ttl> {
    match value.expr(name, "ttl = \"60s\"")? {
        Expr::Closure(closure) => Ok(Ttl::Closure(rule(Expr::Closure(closure)))),
        other => Ok(Ttl::Time(of_expr(name, other, "60s")?)),
    }
}

/// A literal, or an expression of the type `Duration`.
pub(super) fn time(name: &Ident, value: Value, example: &str) -> syn::Result<Time> {
    let expr = value.expr(name, &format!("{name} = \"{example}\""))?;
    if let Expr::Closure(closure) = &expr {
        let message = format!("`{name}` is no closure: write `{name} = \"{example}\"`");
        return Err(syn::Error::new_spanned(closure, message));
    }
    let time = of_expr(name, expr, example)?;
    match time {
        Time::Fixed(length, span) if length > LONGEST => {
            let message = format!(
                "that is more than ten years: write a shorter time, like `{name} = \"{example}\"`"
            );
            Err(syn::Error::new(span, message))
        }
        time => Ok(time),
    }
}

fn of_expr(name: &Ident, expr: Expr, example: &str) -> syn::Result<Time> {
    let literal = match expr {
        Expr::Lit(literal) => literal.lit,
        other => return Ok(Time::Expr(other)),
    };
    let message = match &literal {
        Lit::Str(text) => match duration::parse(&text.value()) {
            Ok(duration) => return Ok(Time::Fixed(duration, text.span())),
            Err(message) => message,
        },
        Lit::Int(number) => {
            let seconds = hints::in_seconds(Some(number.base10_digits()));
            format!("a number has no unit: write `{name} = \"{seconds}\"`")
        }
        _ => format!("write a duration, like `{name} = \"{example}\"`"),
    };
    Err(syn::Error::new(literal.span(), message))
}

pub(super) fn jitter(name: &Ident, value: Value) -> syn::Result<Jitter> {
    const WRITE: &str = "write a part of the time to live, like `jitter = \"10%\"`, or a duration, like `jitter = \"5s\"`";
    let expr = value.expr(name, "jitter = \"10%\"")?;
    let span = expr.span();
    match &expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) if text.value().trim().ends_with('%') => percent(text).map(Jitter::Part),
            Lit::Str(_) => Ok(Jitter::Time(time(name, Value::Expr(expr), "5s")?)),
            _ => Err(syn::Error::new(span, WRITE)),
        },
        Expr::Closure(_) | Expr::Unary(_) => Err(syn::Error::new(span, WRITE)),
        _ => Ok(Jitter::Time(Time::Expr(expr))),
    }
}

/// `"10%"`, `"2.5 %"`.
fn percent(text: &LitStr) -> syn::Result<f64> {
    let value = text.value();
    let number = value.trim().trim_end_matches('%').trim_end();
    let is_plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    match number.parse::<f64>() {
        Ok(percent) if is_plain && percent > 0.0 && percent <= 100.0 => Ok(percent / 100.0),
        _ => {
            let message = format!(
                "`{}` is no part of a time to live: write a number over 0 and up to 100, like `jitter = \"10%\"`",
                value.trim()
            );
            Err(syn::Error::new(text.span(), message))
        }
    }
}

pub(super) fn early_refresh(name: &Ident, value: Value) -> syn::Result<f64> {
    let expr = match value {
        Value::None => return Ok(1.0),
        value => value.expr(name, "early_refresh = 1.5")?,
    };
    let number = match &expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Float(number) => number.base10_parse::<f64>().ok(),
            Lit::Int(number) => number.base10_parse::<u32>().ok().map(f64::from),
            _ => None,
        },
        _ => None,
    };
    number.filter(|beta| *beta > 0.0 && beta.is_finite()).ok_or_else(|| {
        let message = "write `early_refresh` alone, or a number over 0, like `early_refresh = 1.5`: \
                       the larger, the earlier";
        syn::Error::new_spanned(&expr, message)
    })
}

pub(super) fn on_timeout(name: &Ident, value: Value) -> syn::Result<OnTimeout> {
    let expr = value.expr(name, "on_timeout = \"compute\"")?;
    let (span, text) = match &expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => (text.span(), text.value()),
            _ => return Ok(OnTimeout::Expr(expr)),
        },
        Expr::Closure(closure) => {
            let message = "no closure is called here: write `on_timeout = \"compute\"`, or what the \
                           function returns then, like `on_timeout = Err(Error::Busy)`";
            return Err(syn::Error::new_spanned(closure, message));
        }
        _ => return Ok(OnTimeout::Expr(expr)),
    };
    if text == "compute" {
        return Ok(OnTimeout::Compute);
    }
    let message = format!(
        "`\"{text}\"` is nothing to do: write `on_timeout = \"compute\"`, or what the function returns \
         then, like `on_timeout = Err(Error::Busy)` or `on_timeout = \"{text}\".to_owned()`"
    );
    Err(syn::Error::new(span, message))
}

pub(super) fn share_err(name: &Ident, value: Value) -> syn::Result<ShareErr> {
    const WRITE: &str = "errors that are `Clone` are shared without it; write `share_err = false` to keep \
                         them, or `share_err = |error| …` to make one for each who waited";
    let expr = value.expr(name, "share_err = false")?;
    match &expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Bool(shared) if !shared.value => Ok(ShareErr::Never(shared.span())),
            _ => Err(syn::Error::new_spanned(&expr, WRITE)),
        },
        _ => Ok(ShareErr::By(name.clone(), rule(expr))),
    }
}

pub(super) fn cache_err(name: &Ident, value: Value) -> syn::Result<Ttl> {
    match value.expr(name, "cache_err = \"5s\"")? {
        Expr::Closure(closure) => Ok(Ttl::Closure(rule(Expr::Closure(closure)))),
        other => Ok(Ttl::Time(time(name, Value::Expr(other), "5s")?)),
    }
}
