//! Options about the life of a computation that say nothing together, or nothing of this function.

use proc_macro2::{Ident, Span};
use quote::ToTokens as _;
use syn::{Expr, Path, Type};

use crate::args::{Args, Jitter, OnTimeout, ShareErr, Time, Ttl};
use crate::borrows::borrows;
use crate::mistakes::Mistakes;
use crate::work_fn::WorkFn;

/// A day: no caller is there for longer.
const LONGEST_WAIT: u64 = 24 * 60 * 60;

pub(crate) fn check_contradictions(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) {
    // What could not be read is missing here, and nothing is to be said of that.
    if mistakes.any() {
        return;
    }
    check_wait(args, function, mistakes);
    check_jitter(args, mistakes);
    check_stale(args, mistakes);
    check_errors(args, function, mistakes);
}

fn check_wait(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) {
    match (&args.wait, &args.on_timeout) {
        (Some((wait, _)), None) => mistakes.at(
            wait.span(),
            "`wait` needs `on_timeout` beside it, for what a caller gets then: write \
             `on_timeout = \"compute\"`, or a value, like `on_timeout = Err(Error::Busy)`",
        ),
        (None, Some((on_timeout, _))) => mistakes.at(
            on_timeout.span(),
            "`on_timeout` needs `wait` beside it, for when that is: write `wait = \"2s\"`",
        ),
        _ => {}
    }
    if let Some((_, Time::Fixed(time, span))) = &args.wait
        && time.as_secs() > LONGEST_WAIT
    {
        mistakes.at(
            *span,
            "nobody waits for more than a day: write a shorter time, like `wait = \"2s\"`",
        );
    }
    if let Some((_, OnTimeout::Expr(Expr::Path(path)))) = &args.on_timeout
        && path.path.is_ident("compute")
        && !function.variables().any(|name| name == "compute")
    {
        mistakes.on(path, "write it in quotes: `on_timeout = \"compute\"`");
    }
}

fn check_jitter(args: &Args, mistakes: &mut Mistakes) {
    let Some((_, Jitter::Time(Time::Fixed(most, span)))) = &args.jitter else {
        return;
    };
    if let Some(Ttl::Time(Time::Fixed(ttl, _))) = &args.ttl
        && most >= ttl
    {
        let message = "so much would leave nothing of `ttl`: write a shorter time, or a part of it, like \
                       `jitter = \"10%\"`";
        mistakes.at(*span, message);
    }
}

fn check_stale(args: &Args, mistakes: &mut Mistakes) {
    let (Some((_, Time::Fixed(while_revalidate, _))), Some((_, Time::Fixed(if_error, span)))) =
        (&args.stale_while_revalidate, &args.stale_if_error)
    else {
        return;
    };
    if if_error <= while_revalidate {
        let message = "`stale_while_revalidate` serves old values for as long as that already, errors or not: \
                       write a longer time, or remove it";
        mistakes.at(*span, message);
    }
}

fn check_errors(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) {
    if let (Some(ShareErr::Never(span)), Some(_)) = (&args.share_err, &args.cache_err) {
        let message = "`cache_err` gives errors to everybody, and this keeps them to their callers: \
                       remove one of them";
        mistakes.at(*span, message);
    }
    check_borrowed_error(args, function, mistakes);
    let Some(output) = function.output().filter(|output| is_no_result(output)) else {
        return;
    };
    for (name, span) in about_errors(args) {
        let message = format!(
            "`{name}` is about errors, and `{}` is no `Result`: remove it, or return a `Result`",
            tidy(output)
        );
        mistakes.at(span, message);
    }
}

/// What is given to others outlives what it borrows from.
fn check_borrowed_error(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) {
    let share_err = match &args.share_err {
        Some(ShareErr::By(name, _)) => Some(name),
        _ => None,
    };
    let cache_err = args.cache_err.as_ref().map(|(name, _)| name);
    if let Some(name) = share_err.or(cache_err)
        && function.output().is_some_and(borrows)
    {
        let message = "an error that borrows is nothing for other callers: return an owned one, or remove \
                       this";
        mistakes.at(name.span(), message);
    }
}

/// The options that only a `Result` can have.
fn about_errors(args: &Args) -> impl Iterator<Item = (&'static str, Span)> {
    let span = |name: &Ident| name.span();
    let share_err = args.share_err.as_ref().map(|share_err| match share_err {
        ShareErr::Never(span) => *span,
        ShareErr::By(name, _) => name.span(),
    });
    [
        (
            "stale_if_error",
            args.stale_if_error.as_ref().map(|(name, _)| span(name)),
        ),
        ("share_err", share_err),
        (
            "cache_err",
            args.cache_err.as_ref().map(|(name, _)| span(name)),
        ),
    ]
    .into_iter()
    .filter_map(|(name, span)| Some((name, span?)))
}

/// Whether that can be seen. Aliases are left to the compiler.
fn is_no_result(ty: &Type) -> bool {
    match ty {
        Type::Group(group) => is_no_result(&group.elem),
        Type::Paren(paren) => is_no_result(&paren.elem),
        Type::Tuple(_) | Type::Array(_) => true,
        Type::Path(path) => path.qself.is_none() && is_known(&path.path),
        _ => false,
    }
}

fn is_known(path: &Path) -> bool {
    const KNOWN: &[&str] = &[
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16",
        "u32", "u64", "u128", "usize", "String", "Option", "Vec", "HashMap", "BTreeMap", "HashSet",
        "BTreeSet",
    ];
    path.segments
        .last()
        .is_some_and(|last| KNOWN.iter().any(|known| last.ident == known))
}

/// A type as one would write it.
pub(crate) fn tidy(ty: &Type) -> String {
    let spaced = ty.to_token_stream().to_string();
    let mut text = spaced
        .replace(" < ", "<")
        .replace(" > ", ">")
        .replace(" >", ">");
    for (from, to) in [
        (" :: ", "::"),
        (" ,", ","),
        ("& ", "&"),
        ("< ", "<"),
        ("[ ", "["),
        (" ]", "]"),
        (" ;", ";"),
    ] {
        text = text.replace(from, to);
    }
    text
}
