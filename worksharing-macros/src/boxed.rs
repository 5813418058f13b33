//! Async methods as `#[async_trait]` leaves them.

use proc_macro2::{Delimiter, Group, Ident, TokenStream};
use quote::ToTokens;
use syn::parse::Parser as _;
use syn::{
    Expr, ExprAsync, ExprCall, GenericArgument, Local, Pat, PathArguments, ReturnType, Signature,
    Stmt, Type, TypeParamBound,
};

/// What `#[async_trait]` makes of an async method: `Box::pin(async move { … })`, and the type that
/// the async block returns.
pub(crate) struct Boxed {
    pub(crate) before: Vec<Stmt>,
    pub(crate) call: ExprCall,
    pub(crate) block: ExprAsync,
    pub(crate) output: Type,
}
impl Boxed {
    pub(crate) fn of(sig: &Signature, body: &Group) -> Option<Self> {
        let (None, ReturnType::Type(_, returned)) = (&sig.asyncness, &sig.output) else {
            return None;
        };
        let output = boxed_output(returned)?.clone();
        let mut before = syn::Block::parse_within.parse2(body.stream()).ok()?;
        let Some(Stmt::Expr(Expr::Call(mut call), None)) = before.pop() else {
            return None;
        };
        if call.args.len() != 1 || !is_box_pin(&call.func) {
            return None;
        }
        match call.args.pop()? {
            Expr::Async(block) => Some(Self {
                before,
                call,
                block,
                output,
            }),
            _ => None,
        }
    }
}

impl Boxed {
    /// What stands in the async block. `#[async_trait]` begins it with `let argument = argument;`, which
    /// is unused where only an option names the argument, and left out of those that are not wanted.
    pub(crate) fn body(&self, is_wanted: impl Fn(&Ident) -> bool) -> Group {
        let mut block = self.block.block.clone();
        block
            .stmts
            .retain(|statement| moved_by(statement).is_none_or(&is_wanted));
        for statement in &mut block.stmts {
            if let Stmt::Local(local) = statement
                && moves_argument(local)
            {
                local
                    .attrs
                    .push(syn::parse_quote!(#[allow(unused_variables)]));
            }
        }
        let statements = block.stmts.iter().map(ToTokens::to_token_stream).collect();
        let mut body = Group::new(Delimiter::Brace, statements);
        body.set_span(block.brace_token.span.join());
        body
    }

    /// The async block without these.
    pub(crate) fn statements(&self) -> TokenStream {
        let statements = self.block.block.stmts.iter();
        statements
            .filter(|statement| moved_by(statement).is_none())
            .map(ToTokens::to_token_stream)
            .collect()
    }
}

/// The argument that a statement does nothing but move.
fn moved_by(statement: &Stmt) -> Option<&Ident> {
    match statement {
        Stmt::Local(local) if moves_argument(local) => match &local.pat {
            Pat::Ident(pattern) => Some(&pattern.ident),
            _ => None,
        },
        _ => None,
    }
}

fn moves_argument(local: &Local) -> bool {
    match (&local.pat, &local.init) {
        (Pat::Ident(pattern), Some(init)) => {
            matches!(&*init.expr, Expr::Path(path) if path.path.is_ident(&pattern.ident))
        }
        _ => false,
    }
}

fn is_box_pin(function: &Expr) -> bool {
    let path: String = function
        .to_token_stream()
        .into_iter()
        .map(|token| token.to_string())
        .collect();
    path == "Box::pin" || path.ends_with("::Box::pin")
}

/// `T` of `Pin<Box<dyn Future<Output = T>>>`.
pub(crate) fn boxed_output(ty: &Type) -> Option<&Type> {
    let Type::TraitObject(object) = first_argument(first_argument(ty, "Pin")?, "Box")? else {
        return None;
    };
    future_output(object.bounds.iter())
}

/// `T` of a bound `Future<Output = T>`.
pub(crate) fn future_output<'a>(
    mut bounds: impl Iterator<Item = &'a TypeParamBound>,
) -> Option<&'a Type> {
    bounds.find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let last = bound
            .path
            .segments
            .last()
            .filter(|last| last.ident == "Future")?;
        let PathArguments::AngleBracketed(arguments) = &last.arguments else {
            return None;
        };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(output) if output.ident == "Output" => Some(&output.ty),
            _ => None,
        })
    })
}

fn first_argument<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let last = path
        .path
        .segments
        .last()
        .filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}
