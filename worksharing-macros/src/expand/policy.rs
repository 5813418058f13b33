//! How the return type is shared, and the closures about it.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens as _, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, ExprClosure, Pat, ReturnType, Type};

use super::{Expansion, at, private};
use crate::args::{Rule, ShareErr, Ttl};

impl Expansion<'_> {
    /// Spanned by the return type, so that a value that cannot be stored is told of there.
    pub(super) fn policy(&self) -> TokenStream {
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
        let types = self.types();
        quote_spanned!(at(output.span())=> #types #cache_if #ttl)
    }

    /// The policy without the closures about a value: all that counts before there is one.
    pub(super) fn types(&self) -> TokenStream {
        let output = self.output;
        let private = private(self.args, at(output.span()));
        let returns = quote_spanned!(at(output.span())=> #private::Returns::<#output>::new());
        let errors = (!matches!(self.args.share_err, Some(ShareErr::Never(_)))
            && !shows_lifetime(output.to_token_stream()))
        .then(|| quote_spanned!(at(output.span())=> .errors(#returns.__errors())));
        quote_spanned!(at(output.span())=> #returns.__policy() #errors)
    }

    /// A closure that names its parameter's type is matched by it; for another one the type is known.
    /// A type that does not match is a matter between the closure and the return type: spanned there.
    fn rule(&self, rule: &Rule, returns: &TokenStream, answer: &str) -> TokenStream {
        let place = at(self.output.span());
        let private = private(self.args, place);
        match rule {
            Rule::Function(function) => quote_spanned!(place=> #private::by_type(#function)),
            Rule::Closure(closure) => {
                let closure = &self
                    .in_task(|task| task.closure(closure))
                    .unwrap_or_else(|| closure.clone());
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
}

/// Whether a type has a reference or a lifetime in it, as it is written. Whether an error is `'static` cannot be asked
/// of the compiler: so none that shows a lifetime is given to those who waited.
fn shows_lifetime(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Punct(punct) => matches!(punct.as_char(), '&' | '\''),
        TokenTree::Group(group) => shows_lifetime(group.stream()),
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    })
}
