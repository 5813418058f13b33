//! What a function may return, as far as it can be seen.

use quote::ToTokens;
use syn::{GenericArgument, Path, PathArguments, Type};

use crate::args::Args;
use crate::boxed::{boxed_output, future_output};
use crate::mistakes::Mistakes;
use crate::work_fn::WorkFn;

pub(crate) fn check_output(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) {
    let Some(output) = function.output() else {
        let name = &function.sig.ident;
        let message =
            format!("`{name}` returns nothing to share: write `-> T`, or remove `#[work_shared]`");
        return mistakes.at(name.span(), message);
    };
    if boxed_output(output).is_some() {
        let message = "a boxed future cannot be shared, only what it gives: write `async fn`";
        return mistakes.on(output, message);
    }
    match args.each {
        Some(_) => values_of(output)
            .into_iter()
            .for_each(|value| check_shared(value, mistakes)),
        None => check_shared(output, mistakes),
    }
}

/// The values of a map, or of a `Result` of one, if they can be seen. The keys may borrow.
fn values_of(output: &Type) -> Option<&Type> {
    let (name, arguments) = match output {
        Type::Group(group) => return values_of(&group.elem),
        Type::Paren(paren) => return values_of(&paren.elem),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let PathArguments::AngleBracketed(arguments) = &last.arguments else {
                return None;
            };
            (&last.ident, &arguments.args)
        }
        _ => return None,
    };
    let mut types = arguments.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    match types.next()? {
        map if name == "Result" => values_of(map),
        _ if name == "HashMap" || name == "BTreeMap" => types.next(),
        _ => None,
    }
}

/// Refuses what can be seen not to be storable. The rest is left to the bounds of the value.
fn check_shared(ty: &Type, mistakes: &mut Mistakes) {
    match ty {
        Type::Group(group) => check_shared(&group.elem, mistakes),
        Type::Paren(paren) => check_shared(&paren.elem, mistakes),
        Type::Tuple(tuple) if tuple.elems.is_empty() => {
            mistakes.on(
                ty,
                "`()` is nothing to share: return a value, or remove `#[work_shared]`",
            );
        }
        Type::Never(_) => mistakes.on(ty, "this function never returns: remove `#[work_shared]`"),
        Type::ImplTrait(opaque) => {
            let message = match future_output(opaque.bounds.iter()) {
                Some(_) => "a future cannot be shared, only what it gives: write `async fn`",
                None => {
                    "an `impl Trait` cannot be shared: write the type that is returned, \
                         like `Vec<u32>` for `impl Iterator<Item = u32>`"
                }
            };
            mistakes.on(ty, message);
        }
        _ => check_owned(ty, mistakes),
    }
}

/// Refuses borrowed values, wherever they stand in the type.
fn check_owned(ty: &Type, mistakes: &mut Mistakes) {
    match ty {
        Type::Group(group) => check_owned(&group.elem, mistakes),
        Type::Paren(paren) => check_owned(&paren.elem, mistakes),
        Type::Array(array) => check_owned(&array.elem, mistakes),
        Type::Tuple(tuple) => tuple
            .elems
            .iter()
            .for_each(|elem| check_owned(elem, mistakes)),
        Type::Reference(reference) => mistakes.on(ty, borrowed(&reference.elem)),
        Type::Path(path) => check_path(&path.path, mistakes),
        _ => {}
    }
}

fn check_path(path: &Path, mistakes: &mut Mistakes) {
    let Some(last) = path.segments.last() else {
        return;
    };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return;
    };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    // An error is not shared, so it may borrow.
    let is_result = last.ident == "Result" || arguments.args.len() > 1;
    let shared = types.clone().take(if is_result { 1 } else { usize::MAX });
    let borrows = arguments.args.iter().any(
        |argument| matches!(argument, GenericArgument::Lifetime(lifetime) if lifetime.ident != "static"),
    );
    if borrows && (last.ident == "Cow" || types.count() == 0) {
        let owned = if last.ident == "Cow" {
            "`String`"
        } else {
            "an owned type"
        };
        return mistakes.on(
            path,
            format!("a borrowed value cannot be shared: return {owned}"),
        );
    }
    shared.for_each(|ty| check_owned(ty, mistakes));
}

fn borrowed(referenced: &Type) -> String {
    let owned = match referenced {
        Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
        Type::Slice(slice) => format!("Vec<{}>", slice.elem.to_token_stream()),
        Type::TraitObject(_) => {
            return "a borrowed value cannot be shared: return an owned type".into();
        }
        other => other.to_token_stream().to_string().replace(' ', ""),
    };
    format!("a borrowed value cannot be shared: return `{owned}`")
}
