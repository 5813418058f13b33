use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::{
    Attribute, Expr, ExprAsync, ExprCall, FnArg, GenericArgument, GenericParam, Local, Pat,
    PatIdent, PathArguments, ReturnType, Signature, Stmt, Type, TypeParamBound, Visibility,
};

use crate::mistakes::Mistakes;

/// The annotated function.
pub(crate) struct WorkFn {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    /// Not parsed: whatever it holds is passed on, and the compiler judges it.
    pub(crate) body: Group,
    pub(crate) params: Vec<Param>,
    /// Set where the function is not `async`, but returns a boxed async block.
    pub(crate) boxed: Option<Boxed>,
}

/// An argument of the function.
pub(crate) struct Param {
    pub(crate) form: Form,
    pub(crate) span: Span,
}

pub(crate) enum Form {
    Receiver(Ident),
    Named(Ident),
    /// `_`, or a pattern that binds these.
    Pattern(Vec<Ident>),
}

/// What `#[async_trait]` makes of an async method: `Box::pin(async move { … })`, and the type that
/// the async block returns.
pub(crate) struct Boxed {
    pub(crate) before: Vec<Stmt>,
    pub(crate) call: ExprCall,
    pub(crate) block: ExprAsync,
    pub(crate) output: Type,
}

impl WorkFn {
    /// The function, or `None` and a mistake.
    pub(crate) fn parse(item: TokenStream, mistakes: &mut Mistakes) -> Option<Self> {
        let parse = |input: ParseStream<'_>| {
            let attrs = input.call(Attribute::parse_outer)?;
            let vis = input.parse()?;
            let sig: Signature = input.parse()?;
            Ok((attrs, vis, sig, ungrouped(input.parse()?)))
        };
        match parse.parse2(item.clone()) {
            Ok((attrs, vis, sig, TokenTree::Group(body)))
                if body.delimiter() == Delimiter::Brace =>
            {
                let params = sig.inputs.iter().map(Param::of).collect();
                let boxed = Boxed::of(&sig, &body);
                Some(Self {
                    attrs,
                    vis,
                    sig,
                    body,
                    params,
                    boxed,
                })
            }
            Ok((.., end)) => {
                mistakes.at(
                    end.span(),
                    "a function without a body cannot be shared: \
                     write `#[work_shared]` on the methods of the `impl`, or give it a body",
                );
                None
            }
            Err(error) => {
                mistakes.add(not_a_function(item).unwrap_or(error));
                None
            }
        }
    }

    /// Whether it is driven by an executor.
    pub(crate) fn is_async(&self) -> bool {
        self.sig.asyncness.is_some() || self.boxed.is_some()
    }

    /// The type that the body returns.
    pub(crate) fn output(&self) -> Option<&Type> {
        match (&self.boxed, &self.sig.output) {
            (Some(boxed), _) => Some(&boxed.output),
            (None, ReturnType::Type(_, ty)) => Some(ty),
            (None, ReturnType::Default) => None,
        }
    }

    /// Everything in the signature that a key can name, without `self`.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &Ident> {
        let consts = self
            .sig
            .generics
            .params
            .iter()
            .filter_map(|param| match param {
                GenericParam::Const(param) => Some(&param.ident),
                _ => None,
            });
        self.params
            .iter()
            .filter(|param| !param.is_receiver())
            .flat_map(Param::bindings)
            .chain(consts)
    }

    pub(crate) fn receiver(&self) -> Option<&Ident> {
        self.params.iter().find_map(|param| match &param.form {
            Form::Receiver(this) => Some(this),
            _ => None,
        })
    }
}

impl Param {
    fn of(input: &FnArg) -> Self {
        let form = match input {
            FnArg::Receiver(receiver) => {
                Form::Receiver(Ident::new("self", receiver.self_token.span))
            }
            FnArg::Typed(arg) => match &*arg.pat {
                Pat::Ident(PatIdent {
                    by_ref: None,
                    subpat: None,
                    ident,
                    ..
                }) => Form::Named(ident.clone()),
                pattern => Form::Pattern(bindings_of(pattern)),
            },
        };
        let span = match input {
            FnArg::Receiver(receiver) => receiver.self_token.span,
            FnArg::Typed(arg) => arg.pat.span(),
        };
        Self { form, span }
    }

    pub(crate) fn is_receiver(&self) -> bool {
        matches!(self.form, Form::Receiver(_))
    }

    /// The variables that it brings into the body.
    pub(crate) fn bindings(&self) -> &[Ident] {
        match &self.form {
            Form::Receiver(ident) | Form::Named(ident) => std::slice::from_ref(ident),
            Form::Pattern(bindings) => bindings,
        }
    }

    pub(crate) fn binds(&self, name: &Ident) -> bool {
        self.bindings()
            .iter()
            .any(|binding| binding.unraw() == name.unraw())
    }
}

fn bindings_of(pattern: &Pat) -> Vec<Ident> {
    struct Bindings(Vec<Ident>);
    impl<'ast> Visit<'ast> for Bindings {
        fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
            self.0.push(pattern.ident.clone());
            syn::visit::visit_pat_ident(self, pattern);
        }
    }
    let mut bindings = Bindings(Vec::new());
    bindings.visit_pat(pattern);
    bindings.0
}

impl Boxed {
    fn of(sig: &Signature, body: &Group) -> Option<Self> {
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
    /// is unused where only an option names the argument.
    pub(crate) fn body(&self) -> Group {
        let mut block = self.block.block.clone();
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

/// A `$body:block` of a macro by example comes in an invisible group.
fn ungrouped(token: TokenTree) -> TokenTree {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
            let mut inside = group.stream().into_iter();
            match (inside.next(), inside.next()) {
                (Some(token), None) => ungrouped(token),
                _ => TokenTree::Group(group),
            }
        }
        token => token,
    }
}

/// If the item is something else than a function: what to do about it.
fn not_a_function(item: TokenStream) -> Option<syn::Error> {
    for token in item {
        let TokenTree::Ident(word) = token else {
            continue;
        };
        let advice = match word.to_string().as_str() {
            "fn" => return None,
            "impl" | "trait" => "write it on the methods inside",
            "struct" | "enum" | "union" | "type" | "mod" | "use" | "static" | "let"
            | "macro_rules" => "write it on the function that computes the value",
            _ => continue,
        };
        let message = format!("`#[work_shared]` goes on a function, not on `{word}`: {advice}");
        return Some(syn::Error::new(word.span(), message));
    }
    None
}
