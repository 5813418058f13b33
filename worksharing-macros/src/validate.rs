use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Expr, Signature};

use crate::args::{Args, KeyForm, Rule, ShareErr, Ttl};
use crate::contradictions::check_contradictions;
use crate::detachable::check_detachable;
use crate::each::{check_each, check_key_of_each, check_tags_of_each};
use crate::key_parts::{cfg_of, key_parts};
use crate::krate::check_crate;
use crate::mistakes::Mistakes;
use crate::output::check_output;
use crate::skip::{check_left_out, check_skipped};
use crate::template::Template;
use crate::work_fn::WorkFn;

/// What was written as templates, checked.
pub(crate) struct Checked<'a> {
    pub(crate) key: Key<'a>,
    pub(crate) tags: Vec<Template>,
}

/// Where the characteristic string comes from, checked.
pub(crate) enum Key<'a> {
    Template(Template),
    Expr(&'a Expr),
    /// By these arguments, counted in the signature.
    Default(Vec<usize>),
}

/// Judges the function and the options together. All mistakes are told of at once.
pub(crate) fn validate<'a>(
    args: &'a Args,
    function: &WorkFn,
    mistakes: &mut Mistakes,
) -> Checked<'a> {
    check_contradictions(args, function, mistakes);
    check_crate(args, mistakes);
    check_modifiers(&function.sig, mistakes);
    check_output(args, function, mistakes);
    check_clashes(args, mistakes);
    check_closures(args, mistakes);
    check_skipped(args, function, mistakes);
    check_handle(args, function, mistakes);
    check_detachable(args, function, mistakes);
    check_each(args, function, mistakes);
    let checked = Checked {
        key: check_key(args, function, mistakes),
        tags: check_tags(args, function, mistakes),
    };
    check_key_of_each(args, &checked.key, mistakes);
    check_tags_of_each(args, &checked.tags, mistakes);
    checked
}

fn check_key<'a>(args: &'a Args, function: &WorkFn, mistakes: &mut Mistakes) -> Key<'a> {
    match &args.key {
        Some(KeyForm::Template(literal)) => {
            let template = Template::parse(literal, function, mistakes);
            check_left_out(args, function, &template, mistakes);
            Key::Template(template)
        }
        Some(KeyForm::Expr(expr)) => Key::Expr(expr),
        None => Key::Default(key_parts(args, function, mistakes)),
    }
}

fn check_tags(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) -> Vec<Template> {
    let texts = args.tags.iter().flat_map(|tags| &tags.texts);
    texts
        .map(|text| Template::parse(text, function, mistakes))
        .collect()
}

fn check_modifiers(sig: &Signature, mistakes: &mut Mistakes) {
    if let Some(word) = &sig.constness {
        mistakes.on(
            word,
            "a `const fn` cannot be shared, for sharing happens at run time: remove `const`",
        );
    }
    if let syn::Safety::Unsafe(word) = &sig.safety {
        let message = "an `unsafe fn` cannot be shared, for callers would not reach its body: \
                       write a safe function around it";
        mistakes.on(word, message);
    }
    if let Some(abi) = &sig.abi {
        let message =
            "an `extern` function cannot be shared: write a plain `fn`, and call it from this one";
        mistakes.on(abi, message);
    }
    if let Some(variadic) = &sig.variadic {
        mistakes.on(
            variadic,
            "a variadic function cannot be shared: write its arguments one by one",
        );
    }
}

fn check_clashes(args: &Args, mistakes: &mut Mistakes) {
    let by_expr = matches!(args.key, Some(KeyForm::Expr(_)));
    let skip = args
        .skip_span
        .filter(|_| by_expr)
        .map(|span| (span, "skip"));
    let skip_all = args.skip_all.filter(|_| args.key.is_some());
    for (span, name) in skip
        .into_iter()
        .chain(skip_all.map(|span| (span, "skip_all")))
    {
        let message = format!(
            "`{name}` is about the default key, and `key` replaces that: remove one of them"
        );
        mistakes.at(span, message);
    }
    if let (None, Some(_), Some(span)) = (&args.key, args.skip_span, args.skip_all) {
        mistakes.at(
            span,
            "`skip_all` leaves out what `skip` names, too: remove one of them",
        );
    }
}

fn check_closures(args: &Args, mistakes: &mut Mistakes) {
    let ttl = match &args.ttl {
        Some(Ttl::Closure(rule)) => Some((rule, "ttl = |value| …")),
        _ => None,
    };
    let cache_if = args
        .cache_if
        .as_ref()
        .map(|rule| (rule, "cache_if = |value| …"));
    let share_err = match &args.share_err {
        Some(ShareErr::By(_, rule)) => Some((rule, "share_err = |error| …")),
        _ => None,
    };
    let cache_err = match &args.cache_err {
        Some((_, Ttl::Closure(rule))) => Some((rule, "cache_err = |error| …")),
        _ => None,
    };
    let rules = ttl.into_iter().chain(cache_if);
    for (rule, example) in rules.chain(share_err).chain(cache_err) {
        let what = if example.contains("|error|") {
            "error"
        } else {
            "computed value"
        };
        match rule {
            Rule::Closure(closure) if closure.inputs.len() != 1 => {
                let message =
                    format!("the closure takes the {what}, and nothing else: write `{example}`");
                mistakes.at(closure.span(), message);
            }
            Rule::Closure(closure) if closure.asyncness.is_some() => {
                mistakes.on(
                    closure.asyncness,
                    format!("the closure cannot be async: write `{example}`"),
                );
            }
            Rule::Function(Expr::Lit(literal)) => {
                mistakes.on(
                    literal,
                    format!("this is asked of the {what}: write `{example}`"),
                );
            }
            _ => {}
        }
    }
}

fn check_handle(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) {
    let Some(handle) = &args.handle else { return };
    let span = handle.ident.span();
    if handle.ident.unraw() == function.sig.ident.unraw() {
        let message = format!(
            "the handle needs a name of its own: write `handle = {}_call`",
            handle.ident.unraw()
        );
        mistakes.at(span, message);
    }
    if let Some(cfg) = function.sig.inputs.iter().find_map(cfg_of) {
        mistakes.on(
            cfg,
            "a function with a handle has the same arguments always: remove this `#[cfg]`",
        );
    }
    if function.boxed.is_some() {
        mistakes.at(
            span,
            "a method of a trait has no handle: write it on a free function or an inherent method",
        );
    }
}
