mod each;
mod forms;
mod tags;
mod times;

use std::collections::HashSet;
use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, ExprClosure, Ident, LitStr, Path, Token};

pub(crate) use self::each::Each;
use self::each::each;
use self::forms::{handle, key, krate, label, rule, version};
pub(crate) use self::tags::Tags;
use self::tags::tags;
use self::times::{cache_err, early_refresh, jitter, on_timeout, share_err, time, ttl};
use crate::hints;
use crate::mistakes::Mistakes;
use crate::value::{Value, skip_to_comma};

/// The options between the parentheses of `#[work_shared(…)]`.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) ttl: Option<Ttl>,
    pub(crate) key: Option<KeyForm>,
    pub(crate) each: Option<Each>,
    pub(crate) is_each_unreadable: bool,
    pub(crate) tags: Option<Tags>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) skip_span: Option<Span>,
    pub(crate) skip_all: Option<Span>,
    pub(crate) force_refresh: Option<Expr>,
    pub(crate) via: Option<Expr>,
    pub(crate) cache_if: Option<Rule>,
    pub(crate) cache_none: Option<Span>,
    pub(crate) share_err: Option<ShareErr>,
    pub(crate) cache_err: Option<(Ident, Ttl)>,
    pub(crate) stale_while_revalidate: Option<(Ident, Time)>,
    pub(crate) stale_if_error: Option<(Ident, Time)>,
    pub(crate) early_refresh: Option<f64>,
    pub(crate) jitter: Option<(Ident, Jitter)>,
    pub(crate) wait: Option<(Ident, Time)>,
    pub(crate) on_timeout: Option<(Ident, OnTimeout)>,
    pub(crate) local: Option<(Ident, Time)>,
    pub(crate) detach: Option<Span>,
    pub(crate) version: Option<Expr>,
    pub(crate) handle: Option<Handle>,
    pub(crate) name: Option<LitStr>,
    pub(crate) krate: Option<Path>,
}

/// An amount of time.
pub(crate) enum Time {
    Fixed(Duration, Span),
    /// Of the type `Duration`.
    Expr(Expr),
}

pub(crate) enum Ttl {
    Time(Time),
    Closure(Rule),
}

/// By how much a time to live is shortened at most.
pub(crate) enum Jitter {
    /// By this part of it.
    Part(f64),
    Time(Time),
}

pub(crate) enum OnTimeout {
    Compute,
    Expr(Expr),
}

pub(crate) enum ShareErr {
    Never(Span),
    By(Ident, Rule),
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
        let is_new = seen.insert(name.to_string());
        let twice = format!("`{name}` is given twice: remove one of them");
        let twice = syn::Error::new(name.span(), twice);
        // What follows it is no expression.
        if name == "each" {
            let each = each(&name, input);
            self.is_each_unreadable |= each.is_err();
            self.each.get_or_insert(each?);
            return is_new.then_some(()).ok_or(twice);
        }
        let value = Value::parse(input)?;
        if !input.is_empty() && !input.peek(Token![,]) {
            return Err(input.error("write a `,` between two options"));
        }
        if !is_new {
            return Err(twice);
        }
        self.set(&name, value, mistakes)
    }

    fn set(&mut self, name: &Ident, value: Value, mistakes: &mut Mistakes) -> syn::Result<()> {
        match name.to_string().as_str() {
            "ttl" => self.ttl = Some(ttl(name, value)?),
            "key" => self.key = Some(key(value.expr(name, "key = \"report:{year}\"")?)),
            "tags" => self.tags = Some(tags(name, value, mistakes)?),
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
            "version" => self.version = Some(version(value.expr(name, "version = 2")?)?),
            "handle" => self.handle = Some(handle(value.expr(name, "handle = report_call")?)?),
            "name" => self.name = Some(label(value.expr(name, "name = \"reports\"")?)?),
            "crate" => {
                self.krate = Some(krate(value.expr(name, "crate = path::to::worksharing")?)?)
            }
            other => return self.set_fate(other, name, value, mistakes),
        }
        Ok(())
    }

    /// The options about what becomes of a computation, and of its value in time.
    fn set_fate(
        &mut self,
        text: &str,
        name: &Ident,
        value: Value,
        mistakes: &mut Mistakes,
    ) -> syn::Result<()> {
        match text {
            "stale_while_revalidate" => {
                self.stale_while_revalidate = Some((name.clone(), time(name, value, "10m")?));
            }
            "stale_if_error" => {
                self.stale_if_error = Some((name.clone(), time(name, value, "1d")?))
            }
            "early_refresh" => self.early_refresh = Some(early_refresh(name, value)?),
            "jitter" => self.jitter = Some((name.clone(), jitter(name, value)?)),
            "wait" => self.wait = Some((name.clone(), time(name, value, "2s")?)),
            "on_timeout" => self.on_timeout = Some((name.clone(), on_timeout(name, value)?)),
            "share_err" => self.share_err = Some(share_err(name, value)?),
            "cache_err" => self.cache_err = Some((name.clone(), cache_err(name, value)?)),
            "local" => self.local = Some((name.clone(), time(name, value, "5s")?)),
            "detach" => self.detach = Some(value.flag(name)?),
            other => mistakes.at(
                name.span(),
                hints::unknown_option(other, value.text().as_deref()),
            ),
        }
        Ok(())
    }
}
