//! Whether a computation can be detached from its caller, as far as it can be seen.

use quote::ToTokens as _;
use syn::{FnArg, ReceiverKind, Type};

use crate::args::Args;
use crate::borrows::{borrows, is_static, may_be_alias, owned, referenced};
use crate::contradictions::tidy;
use crate::in_task::captured_self;
use crate::key_parts::cfg_of;
use crate::mistakes::Mistakes;
use crate::task::taken;
use crate::work_fn::{Param, WorkFn};

pub(crate) fn check_detachable(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) {
    if args.detach.is_none() || mistakes.any() {
        return;
    }
    if let Some(output) = function.output().filter(|output| borrows(output)) {
        let message = format!(
            "a detached computation may outlive its caller, so it returns nothing that borrows: return {}",
            instead_of(output)
        );
        mistakes.on(output, message);
    }
    if let Some(cfg) = function.sig.inputs.iter().find_map(cfg_of) {
        let message = "a detached function has the same arguments always: remove this `#[cfg]`";
        mistakes.on(cfg, message);
    }
    if let Some(span) = captured_self(function.body.stream()) {
        let message = "in a detached computation `self` is a clone of another name, which a format string \
                       cannot follow: write `\"{}\", self`";
        mistakes.at(span, message);
    }
    let taken = taken(args, function);
    // The task has ids, whatever its body does.
    let ids = args.each.as_ref().map(|each| &each.ids);
    for (param, input) in function.params.iter().zip(&function.sig.inputs) {
        let is_used = |param: &Param| taken.iter().any(|taken| param.binds(&taken.name));
        if is_used(param) || ids.is_some_and(|ids| param.binds(ids)) {
            check_input(input, mistakes);
        }
    }
}

fn check_input(input: &FnArg, mistakes: &mut Mistakes) {
    match input {
        FnArg::Receiver(receiver) => match &receiver.kind {
            ReceiverKind::Reference(_, _, Some(_)) => {
                mistakes.on(
                    receiver,
                    mutably("`self`", "`self: &Arc<Self>` with a `Mutex` inside"),
                );
            }
            ReceiverKind::Typed(_, ty) => check_type(ty, mistakes),
            _ => {}
        },
        FnArg::Typed(arg) => check_type(&arg.ty, mistakes),
    }
}

fn check_type(ty: &Type, mistakes: &mut Mistakes) {
    if !borrows(ty) {
        return;
    }
    let reference = referenced(ty);
    if let Some(changed) = mutable(ty) {
        return mistakes.on(
            ty,
            mutably("what its caller owns", &format!("`Arc<Mutex<{changed}>>`")),
        );
    }
    let Some(reference) = reference else {
        if may_be_alias(ty) {
            return;
        }
        return mistakes.on(ty, inside(ty));
    };
    if reference.lifetime.as_ref().is_some_and(is_static) {
        return;
    }
    let mut elem = &*reference.elem;
    while let Type::Paren(paren) = elem {
        elem = &paren.elem;
    }
    if let Type::TraitObject(_) = elem {
        let object = tidy(elem);
        let message = format!(
            "a detached computation may outlive its caller, and a `&{object}` cannot be cloned for it: write \
             `Arc<{object}>`, of a trait that is `Send + Sync`"
        );
        return mistakes.on(ty, message);
    }
    if borrows(elem) {
        mistakes.on(ty, inside(ty));
    }
}

fn mutable(ty: &Type) -> Option<String> {
    let reference = referenced(ty).filter(|reference| reference.mutability.is_some());
    if let Some(reference) = reference {
        return Some(tidy(&reference.elem));
    }
    let tokens = ty.to_token_stream().to_string();
    tokens.contains("mut ").then(|| "…".to_owned())
}

fn mutably(what: &str, instead: &str) -> String {
    format!(
        "a detached computation may outlive its caller, so it cannot change {what}: take it by value, or write \
         {instead}"
    )
}

fn inside(ty: &Type) -> String {
    format!(
        "a detached computation may outlive its caller, and what is borrowed inside cannot be taken along: take {}",
        instead_of_argument(ty)
    )
}

fn instead_of_argument(ty: &Type) -> String {
    match ty {
        Type::Reference(reference) => match owned(&reference.elem) {
            Some(elem) => format!("`&{}`", tidy(&elem)),
            None => "an owned type, or an `Arc`".into(),
        },
        _ => instead_of(ty),
    }
}

fn instead_of(ty: &Type) -> String {
    owned(ty).map_or_else(
        || "what is owned".into(),
        |owned| format!("`{}`", tidy(&owned)),
    )
}
