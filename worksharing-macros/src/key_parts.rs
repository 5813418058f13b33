//! Which arguments make the default key.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::{Attribute, Expr, FnArg, Path};

use crate::args::Args;
use crate::mistakes::Mistakes;
use crate::work_fn::{Param, WorkFn};

/// The arguments of the default key.
pub(crate) fn key_parts(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) -> Vec<usize> {
    if args.skip_all.is_some() {
        return Vec::new();
    }
    let forced = args.force_refresh.as_ref().map(named).unwrap_or_default();
    let is_forced = |param: &Param| forced.iter().any(|name| param.binds(name));
    let is_skipped = |param: &Param| args.skip.iter().any(|name| param.binds(name));
    let mut parts = Vec::new();
    for (at, param) in function.params.iter().enumerate() {
        if is_skipped(param) {
            continue;
        }
        // Left out silently, two receivers would share; kept, the refresh would have a key of its own.
        if param.is_receiver() && is_forced(param) {
            let message = "`force_refresh` names `self`, and the default key holds all of it: \
                           write `key = \"…\"` with the parts that tell two receivers apart";
            let this = args
                .force_refresh
                .as_ref()
                .map_or(param.span, |expr| expr.span());
            mistakes.at(this, message);
        } else if !is_forced(param) {
            if let Some(cfg) = cfg_of(&function.sig.inputs[at]) {
                let message = "an argument that may be missing cannot be part of the default key: \
                               leave it out with `skip(…)`, or write `key = \"…\"`";
                mistakes.on(cfg, message);
            }
            parts.push(at);
        }
    }
    parts
}

pub(crate) fn cfg_of(input: &FnArg) -> Option<&Attribute> {
    let attrs = match input {
        FnArg::Receiver(receiver) => &receiver.attrs,
        FnArg::Typed(arg) => &arg.attrs,
    };
    attrs.iter().find(|attr| attr.path().is_ident("cfg"))
}

/// The variables that an expression names. What a macro in it names is seen, too.
pub(crate) fn named(expr: &Expr) -> Vec<Ident> {
    struct Variables(Vec<Ident>);
    impl<'ast> Visit<'ast> for Variables {
        fn visit_path(&mut self, path: &'ast Path) {
            self.0.extend(path.get_ident().cloned());
            syn::visit::visit_path(self, path);
        }
        fn visit_macro(&mut self, call: &'ast syn::Macro) {
            identifiers(call.tokens.clone(), &mut self.0);
        }
    }
    let mut variables = Variables(Vec::new());
    variables.visit_expr(expr);
    variables.0
}

fn identifiers(tokens: TokenStream, found: &mut Vec<Ident>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => found.push(ident),
            TokenTree::Group(group) => identifiers(group.stream(), found),
            _ => {}
        }
    }
}
