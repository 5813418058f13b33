//! The option `each`: what of the function it speaks of, and what goes beside it.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Expr, ReceiverKind, Type};

use crate::args::{Args, Each};
use crate::contradictions::tidy;
use crate::hints;
use crate::ids::{form_of, ids_type};
use crate::in_task::captured_self;
use crate::key_parts::named;
use crate::mistakes::Mistakes;
use crate::task::captures;
use crate::template::Template;
use crate::validate::Key;
use crate::work_fn::{Param, WorkFn};

pub(crate) fn check_each(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) {
    let Some(each) = &args.each else { return };
    check_ids(each, function, mistakes);
    check_id(each, function, mistakes);
    check_beside(each, args, function, mistakes);
    check_receiver(function, mistakes);
}

fn check_ids(each: &Each, function: &WorkFn, mistakes: &mut Mistakes) {
    let ids = &each.ids;
    if let Some(ty) = ids_type(each, function) {
        if form_of(ty, function).is_none() {
            let message = format!(
                "`each` cannot go through `{}`: take a slice, a `Vec`, a set, a reference to one of them, or an \
                 `impl IntoIterator`",
                tidy(ty)
            );
            mistakes.on(ty, message);
        }
        return;
    }
    if ids == "self" {
        let message =
            "`each` goes through an argument, and `self` is none: take the ids as a slice";
        return mistakes.at(ids.span(), message);
    }
    if function.params.iter().any(|param| param.binds(ids)) {
        let message = format!("`{ids}` is part of a pattern: give the argument a name of its own");
        return mistakes.at(ids.span(), message);
    }
    let arguments = function.params.iter().filter(|param| !param.is_receiver());
    let arguments: Vec<String> = arguments
        .flat_map(Param::bindings)
        .map(ToString::to_string)
        .collect();
    let guess = hints::closest(&ids.to_string(), arguments.iter().map(String::as_str));
    let end = match guess {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if arguments.is_empty() => "the function has none".into(),
        None => format!("the arguments are {}", hints::list(&arguments)),
    };
    mistakes.at(ids.span(), format!("there is no argument `{ids}`: {end}"));
}

fn check_id(each: &Each, function: &WorkFn, mistakes: &mut Mistakes) {
    let mut arguments = function.params.iter().flat_map(Param::bindings);
    for id in &each.bound {
        if arguments.any(|argument| argument.unraw() == id.unraw()) {
            let message = format!("there is an argument `{id}` already: choose another name");
            mistakes.at(id.span(), message);
        }
    }
}

/// What goes together with it, and what does not.
fn check_beside(each: &Each, args: &Args, function: &WorkFn, mistakes: &mut Mistakes) {
    if args.key.is_none() {
        let id: Vec<String> = each
            .bound
            .iter()
            .map(|id| format!("{{{}}}", id.unraw()))
            .collect();
        let message = format!(
            "`each` wants a key that tells the ids apart: write `key = \"{}:{}\"`",
            function.sig.ident.unraw(),
            id.join(":")
        );
        mistakes.at(each.name.span(), message);
    }
    for name in &args.skip {
        if name.unraw() == each.ids.unraw() {
            let message = format!("`{name}` is what `each` goes through: remove it here");
            mistakes.at(name.span(), message);
        }
    }
    if let Some(force) = &args.force_refresh {
        check_once(each, force, "force_refresh", mistakes);
    }
    if let Some(via) = &args.via {
        check_once(each, via, "via", mistakes);
    }
}

/// What is asked for all ids together knows none of them.
fn check_once(each: &Each, expr: &Expr, option: &str, mistakes: &mut Mistakes) {
    let names = named(expr);
    if let Some(id) = names.iter().find(|name| each.bound.contains(name)) {
        let message = format!("`{option}` is the same for all ids, so it cannot name `{id}`");
        mistakes.on(expr, message);
    }
}

/// In the body, what is lent anew has another name.
fn check_receiver(function: &WorkFn, mistakes: &mut Mistakes) {
    if !is_lent_anew(function) {
        return;
    }
    if let Some(span) = captured_self(function.body.stream()) {
        let message = "in a function with `each` this `self` is lent anew each time, by another name, which a \
                       format string cannot follow: write `\"{}\", self`";
        mistakes.at(span, message);
    }
}

/// Whether there is a `self` that is more than a shared reference: the body cannot have it twice.
pub(crate) fn is_lent_anew(function: &WorkFn) -> bool {
    let shared = |kind: &ReceiverKind| match kind {
        ReceiverKind::Reference(_, _, mutability) => mutability.is_none(),
        ReceiverKind::Typed(_, ty) => {
            matches!(&**ty, Type::Reference(reference) if reference.mutability.is_none())
        }
        _ => false,
    };
    let receiver = function.sig.receiver();
    receiver.is_some_and(|receiver| !shared(&receiver.kind) || receiver.mutability.is_some())
}

/// Each id has a key of its own, and no key has all of them.
pub(crate) fn check_key_of_each(args: &Args, key: &Key<'_>, mistakes: &mut Mistakes) {
    let Some(each) = args.each.as_ref().filter(|_| !mistakes.any()) else {
        return;
    };
    let (place, texts, names): (_, _, Vec<Ident>) = match key {
        Key::Template(template) => (
            template.span(),
            TokenStream::new(),
            template.values().flat_map(named).collect(),
        ),
        Key::Expr(expr) => (expr.span(), expr.to_token_stream(), named(expr)),
        Key::Default(_) => return,
    };
    let has = |name: &Ident| {
        names.iter().any(|other| other.unraw() == name.unraw())
            || captured(texts.clone(), &name.unraw().to_string())
    };
    if has(&each.ids) {
        let message = format!(
            "`{}` is all ids, and this is the key of one: write {}",
            each.ids,
            placeholders(each)
        );
        mistakes.at(place, message);
    } else if !each.bound.iter().any(has) {
        let message = format!(
            "this key is the same for all ids: write {} into it",
            placeholders(each)
        );
        mistakes.at(place, message);
    }
}

/// `` `{id}` ``
fn placeholders(each: &Each) -> String {
    let names = each.bound.iter().map(|id| format!("`{{{}}}`", id.unraw()));
    names.collect::<Vec<_>>().join(" and ")
}

/// Whether a format string in these tokens captures the name.
fn captured(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => captured(group.stream(), name),
        TokenTree::Literal(literal) => captures(&literal.to_string(), name),
        _ => false,
    })
}

/// Nor does a tag have all of them.
pub(crate) fn check_tags_of_each(args: &Args, tags: &[Template], mistakes: &mut Mistakes) {
    let (Some(each), Some(written)) = (&args.each, &args.tags) else {
        return;
    };
    for (tag, text) in tags.iter().zip(&written.texts) {
        let mut names = tag.values().flat_map(named);
        if names.any(|name| name.unraw() == each.ids.unraw()) {
            let message = format!(
                "`{}` is all ids, and this is a tag of one of them",
                each.ids
            );
            mistakes.at(text.span(), message);
        }
    }
}
