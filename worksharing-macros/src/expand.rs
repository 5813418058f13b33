use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, ExprClosure, FnArg, GenericParam, Pat, ReturnType, Signature, Type};

use crate::args::{Args, Handle, Rule, Ttl};
use crate::validate::Key;
use crate::work_fn::{Form, WorkFn};

/// The function anew, and its handle if there is one.
pub(crate) fn expand(args: &Args, function: &WorkFn, key: &Key<'_>) -> TokenStream {
    let Some(output) = function.output() else {
        return TokenStream::new();
    };
    let private = private(args, here());
    let expansion = Expansion {
        args,
        function,
        key,
        output,
        private,
    };
    match &args.handle {
        Some(handle) => expansion.with_handle(handle),
        None => expansion.alone(),
    }
}

struct Expansion<'a> {
    args: &'a Args,
    function: &'a WorkFn,
    key: &'a Key<'a>,
    output: &'a Type,
    private: TokenStream,
}

/// The place of some code of the user, with names that cannot meet the user's.
fn at(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

fn here() -> Span {
    Span::mixed_site()
}

impl Expansion<'_> {
    /// ```text
    /// fn f(a: A) -> R { body }
    /// ```
    /// becomes
    /// ```text
    /// fn f(a: A) -> R {
    ///     let plan = …;
    ///     run_blocking(plan, policy, move || -> R { body })
    /// }
    /// ```
    fn alone(&self) -> TokenStream {
        let WorkFn { attrs, vis, .. } = self.function;
        let sig = self.sig();
        let block = match &self.function.boxed {
            Some(_) => self.boxed(),
            None => {
                let shared = self.shared();
                quote_spanned!(here()=> { #shared })
            }
        };
        quote!(#(#attrs)* #vis #sig #block)
    }

    /// The last call has the place of the policy, so that the compiler takes what goes wrong in both
    /// for one mistake.
    fn shared(&self) -> TokenStream {
        let (plan, policy, body) = (self.plan(), self.policy(), self.body());
        let place = at(self.output.span());
        let at_output = private(self.args, place);
        if self.function.is_async() {
            let private = &self.private;
            let run = quote_spanned!(place=> #at_output::run(__plan, #policy, __body).await);
            quote_spanned!(here()=> #plan let __body = #private::pin!(#body); #run)
        } else {
            let run = quote_spanned!(place=> #at_output::run_blocking(__plan, #policy, #body));
            quote_spanned!(here()=> #plan #run)
        }
    }

    /// `Box::pin(async move { body })` of `#[async_trait]`: what is shared is the async block.
    fn boxed(&self) -> TokenStream {
        let Some(boxed) = &self.function.boxed else {
            return TokenStream::new();
        };
        let (before, shared) = (&boxed.before, self.shared());
        let (function, attrs) = (&boxed.call.func, &boxed.call.attrs);
        quote_spanned!(here()=> { #(#before)* #(#attrs)* #function(async move { #shared }) })
    }

    /// ```text
    /// fn f(a: A) -> R { body }
    /// ```
    /// becomes
    /// ```text
    /// fn f(a: A) -> R { f_call(a).get() }
    /// fn f_call(a: A) -> Call<R, impl Policy<Returned = R>, impl FnOnce() -> R> {
    ///     let plan = …;
    ///     Call::new(plan, policy, move || -> R { body })
    /// }
    /// ```
    fn with_handle(&self, handle: &Handle) -> TokenStream {
        let wrapper = self.wrapper(handle);
        let (vis, private, output) = (&self.function.vis, &self.private, self.output);
        let (plan, policy, body) = (self.plan(), self.policy(), self.body());
        let (call, runs) = if self.function.is_async() {
            (
                "AsyncCall",
                quote_spanned!(here()=> #private::Future<Output = #output>),
            )
        } else {
            (
                "Call",
                quote_spanned!(here()=> ::core::ops::FnOnce() -> #output),
            )
        };
        let call = Ident::new(call, here());
        let returned = quote_spanned!(here()=> #private::#call<#output, impl #private::Policy<Returned = #output>, impl #runs>);
        let mut sig = self.sig();
        sig.asyncness = None;
        sig.ident = handle.ident.clone();
        sig.output = ReturnType::Type(syn::Token![->](here()), Box::new(Type::Verbatim(returned)));
        let docs = format!(
            "The call of `{}` as a value.",
            self.function.sig.ident.unraw()
        );
        let lints = self
            .function
            .attrs
            .iter()
            .filter(|attr| holds_for_body(attr));
        quote_spanned! {here()=>
            #wrapper
            #[doc = #docs]
            #(#lints)*
            #vis #sig { #plan #private::#call::new(__plan, #policy, #body) }
        }
    }

    fn wrapper(&self, handle: &Handle) -> TokenStream {
        let WorkFn { attrs, vis, .. } = self.function;
        let mut sig = self.function.sig.clone();
        let arguments: Vec<Ident> = sig.inputs.iter_mut().enumerate().map(forwarded).collect();
        let attrs = attrs.iter().filter(|attr| !attr.path().is_ident("expect"));
        let call = &handle.ident;
        let of_self = match (&handle.of_self, self.function.receiver()) {
            (Some(this), _) => quote!(#this::),
            (None, Some(this)) => {
                let this = Ident::new("Self", this.span());
                quote_spanned!(here()=> #this::)
            }
            (None, None) => TokenStream::new(),
        };
        let generics = turbofish(&sig);
        let wait = sig.asyncness.map(|_| quote_spanned!(here()=> .await));
        quote_spanned! {here()=>
            #(#attrs)* #vis #sig { #of_self #call #generics(#(#arguments),*).get() #wait }
        }
    }

    /// The signature. For the default key, patterns give way to names: the key wants the whole
    /// argument.
    fn sig(&self) -> Signature {
        let mut sig = self.function.sig.clone();
        for (at, name, _) in self.renamed() {
            if let Some(FnArg::Typed(arg)) = sig.inputs.iter_mut().nth(at) {
                *arg.pat = plain(name);
            }
        }
        sig
    }

    /// Pattern arguments that are part of the default key: position, name, pattern.
    fn renamed(&self) -> impl Iterator<Item = (usize, Ident, &Pat)> {
        let parts = match self.key {
            Key::Default(parts) => parts.as_slice(),
            _ => &[],
        };
        parts.iter().filter_map(|&at| {
            match (
                &self.function.params[at].form,
                &self.function.sig.inputs[at],
            ) {
                (Form::Pattern(_), FnArg::Typed(arg)) => Some((at, argument(at), &*arg.pat)),
                _ => None,
            }
        })
    }

    /// The key first, while every argument is whole; then patterns are taken apart.
    fn plan(&self) -> TokenStream {
        let private = &self.private;
        let (key, label, options) = (self.key(), self.label(), self.options());
        let patterns = self
            .renamed()
            .filter(|(_, _, pattern)| !matches!(pattern, Pat::Wild(_)));
        let patterns =
            patterns.map(|(_, name, pattern)| quote_spanned!(here()=> let #pattern = #name;));
        let patterns: TokenStream = patterns.collect();
        let make = match &self.args.via {
            Some(via) => {
                // A reference to whatever it is: that is coerced, and nothing is moved.
                let via = reference(via);
                quote_spanned!(here()=> #private::Plan::via(#via, __key, #label))
            }
            None => quote_spanned!(here()=> #private::Plan::installed(__key, #label)),
        };
        quote_spanned! {here()=>
            let __key = #key;
            #patterns
            let __plan = #make #options;
        }
    }

    fn key(&self) -> TokenStream {
        let private = &self.private;
        match self.key {
            Key::Template(template) => template.expand(private),
            Key::Expr(expr) => {
                let (place, key) = (at(expr.span()), reference(expr));
                let private = self::private(self.args, place);
                quote_spanned!(place=> #private::text(#key))
            }
            Key::Default(parts) => {
                let parts = parts.iter().map(|&at| self.key_part(at));
                quote_spanned!(here()=> #private::DefaultKey::new(|| {}) #(#parts)* .finish())
            }
        }
    }

    /// Spanned by the argument, so that a missing `Debug` is told of there.
    fn key_part(&self, index: usize) -> TokenStream {
        let param = &self.function.params[index];
        let name = match &param.form {
            Form::Receiver(ident) | Form::Named(ident) => ident.clone(),
            Form::Pattern(_) => argument(index),
        };
        quote_spanned!(at(param.span)=> .arg(&#name))
    }

    fn label(&self) -> TokenStream {
        let private = &self.private;
        match &self.args.name {
            Some(name) => name.to_token_stream(),
            None => {
                let name = format!("::{}", self.function.sig.ident.unraw());
                quote_spanned!(here()=> #private::concat!(#private::module_path!(), #name))
            }
        }
    }

    fn options(&self) -> TokenStream {
        let Args {
            ttl,
            version,
            force_refresh,
            cache_none,
            ..
        } = self.args;
        let private = &self.private;
        let ttl = match ttl {
            Some(Ttl::Fixed(ttl)) => {
                let millis = proc_macro2::Literal::u64_unsuffixed(ttl.as_millis() as u64);
                Some(quote_spanned!(here()=> .ttl(#private::Duration::from_millis(#millis))))
            }
            Some(Ttl::Expr(expr)) => Some(quote_spanned!(here()=> .ttl(#expr))),
            Some(Ttl::Closure(_)) | None => None,
        };
        let version = version
            .as_ref()
            .map(|expr| quote_spanned!(here()=> .version(#expr)));
        let force = force_refresh
            .as_ref()
            .map(|expr| quote_spanned!(here()=> .force_refresh(#expr)));
        let none = cache_none.map(|_| quote_spanned!(here()=> .cache_none()));
        quote!(#ttl #version #force #none)
    }

    /// Spanned by the return type, so that a value that cannot be stored is told of there.
    fn policy(&self) -> TokenStream {
        let output = self.output;
        let private = private(self.args, at(output.span()));
        let returns = quote_spanned!(at(output.span())=> #private::Returns::<#output>::new());
        let cache_if = self.args.cache_if.as_ref().map(|rule| {
            let rule = self.rule(rule, &returns, "bool");
            quote_spanned!(at(output.span())=> .cache_if(#rule))
        });
        let ttl = match &self.args.ttl {
            Some(Ttl::Closure(rule)) => {
                let rule = self.rule(rule, &returns, "Duration");
                Some(quote_spanned!(at(output.span())=> .ttl(#rule)))
            }
            _ => None,
        };
        quote_spanned!(at(output.span())=> #returns.__policy() #cache_if #ttl)
    }

    /// A closure that names its parameter's type is matched by it; for another one the type is known.
    /// A type that does not match is a matter between the closure and the return type: spanned there.
    fn rule(&self, rule: &Rule, returns: &TokenStream, answer: &str) -> TokenStream {
        let place = at(self.output.span());
        let private = private(self.args, place);
        match rule {
            Rule::Function(function) => quote_spanned!(place=> #private::by_type(#function)),
            Rule::Closure(closure) => {
                let typed = matches!(closure.inputs.first(), Some(Pat::Type(_)));
                let closure = self.answering(closure, answer);
                if typed {
                    quote_spanned!(place=> #private::by_type(#closure))
                } else {
                    quote_spanned!(place=> #returns.__value().__by(#closure))
                }
            }
        }
    }

    /// The closure with its return type written down, so that a wrong answer is told of in its body.
    /// All of it stands where the user wrote it, and so do errors about it.
    fn answering(&self, closure: &ExprClosure, answer: &str) -> ExprClosure {
        let mut closure = closure.clone();
        if let ReturnType::Default = closure.output {
            let body = &closure.body;
            let place = body.span();
            let (private, answer) = (private(self.args, place), Ident::new(answer, place));
            let answer = Type::Verbatim(quote_spanned!(place=> #private::#answer));
            if !matches!(**body, Expr::Block(syn::ExprBlock { label: None, .. })) {
                closure.body = Box::new(Expr::Verbatim(quote_spanned!(at(place)=> { #body })));
            }
            closure.output = ReturnType::Type(syn::Token![->](place), Box::new(answer));
        }
        closure
    }

    /// The body as a function of its own: `return` and `?` work, and it is typed, so that an error in
    /// it is told of there. An async block is typed by a dead `return`.
    fn body(&self) -> TokenStream {
        let output = self.output;
        if !self.function.is_async() {
            let body = &self.function.body;
            return quote_spanned!(here()=> move || -> #output #body);
        }
        let body = match &self.function.boxed {
            Some(boxed) => boxed.body(),
            None => self.function.body.clone(),
        };
        let (body, private) = (inner_block(&body), private(self.args, at(output.span())));
        let dead = quote_spanned!(at(output.span())=> return #private::never::<#output>(););
        quote_spanned!(here()=> async move { if false { #dead } #body })
    }
}

/// The runtime's hidden module, as if it were written there: an expression has the place of its first
/// token.
fn private(args: &Args, place: Span) -> TokenStream {
    let Some(path) = &args.krate else {
        return quote_spanned!(place=> ::worksharing::__private);
    };
    let path = quote_spanned!(place=> #path::__private)
        .into_iter()
        .map(|mut token| {
            token.set_span(token.span().located_at(place));
            token
        });
    path.collect()
}

fn argument(at: usize) -> Ident {
    Ident::new(&format!("__argument{at}"), here())
}

fn plain(ident: Ident) -> Pat {
    Pat::Ident(syn::PatIdent {
        attrs: Vec::new(),
        by_ref: None,
        mutability: None,
        ident,
        subpat: None,
    })
}

/// Makes an argument one that can be passed on, and gives its name.
fn forwarded((index, input): (usize, &mut FnArg)) -> Ident {
    match input {
        FnArg::Receiver(receiver) => {
            receiver.mutability = None;
            Ident::new("self", receiver.self_token.span)
        }
        FnArg::Typed(arg) => {
            let name = match &*arg.pat {
                Pat::Ident(pattern) if pattern.subpat.is_none() => pattern.ident.clone(),
                _ => argument(index),
            };
            *arg.pat = plain(name.clone());
            name
        }
    }
}

/// `::<T, N>`: what the arguments may not tell.
fn turbofish(sig: &Signature) -> Option<TokenStream> {
    let mut names = sig.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(&param.ident),
        GenericParam::Const(param) => Some(&param.ident),
        _ => None,
    });
    let first = names.next()?;
    Some(quote_spanned!(here()=> ::<#first #(, #names)*>))
}

/// Lint levels move with the body.
fn holds_for_body(attr: &Attribute) -> bool {
    ["allow", "warn", "deny", "forbid", "expect"]
        .iter()
        .any(|level| attr.path().is_ident(level))
}

fn reference(expr: &Expr) -> TokenStream {
    let span = at(expr.span());
    let reference = syn::ExprReference {
        attrs: Vec::new(),
        and_token: syn::Token![&](span),
        mutability: None,
        expr: Box::new(expr.clone()),
    };
    reference.to_token_stream()
}

/// The braces as if they were the expansion's: a lint may find the user's needless in a new place.
fn inner_block(body: &Group) -> Group {
    let mut block = Group::new(body.delimiter(), body.stream());
    block.set_span(at(body.span()));
    block
}
