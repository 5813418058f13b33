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
        let (errors, local) = (self.errors(false), self.local());
        let policy = self.policy_by_type();
        quote_spanned!(at(output.span())=> #policy #local #errors #cache_if #ttl)
    }

    /// What the return type decides.
    pub(super) fn policy_by_type(&self) -> TokenStream {
        let output = self.output;
        let place = at(output.span());
        let private = private(self.args, place);
        let returns = quote_spanned!(place=> #private::Returns::<#output>::new());
        match self.args.each {
            Some(_) => quote_spanned!(place=> #private::policy_of_one(#returns.__map())),
            None => quote_spanned!(place=> #returns.__policy()),
        }
    }

    /// The policy without the closures: all that counts before there is a value.
    pub(super) fn types(&self) -> TokenStream {
        let policy = self.policy_by_type();
        let (errors, local) = (self.errors(true), self.local());
        quote_spanned!(at(self.output.span())=> #policy #local #errors)
    }

    /// Spanned by the return type, too: that is what can be kept or not.
    fn local(&self) -> Option<TokenStream> {
        let place = at(self.output.span());
        let local = self.args.local.as_ref();
        local.map(|_| quote_spanned!(place=> .local()))
    }

    /// What becomes of errors, or only its type.
    fn errors(&self, only_type: bool) -> TokenStream {
        let output = self.output;
        let place = at(output.span());
        let private = private(self.args, place);
        let share = match &self.args.share_err {
            Some(ShareErr::Never(_)) => None,
            Some(ShareErr::By(..)) if only_type => Some(quote_spanned!(place=> .shares_err())),
            Some(ShareErr::By(_, rule)) => {
                let rule = self.of_error(rule, None);
                Some(quote_spanned!(place=> .share_err(#rule)))
            }
            None => (!shows_lifetime(output.to_token_stream())).then(
                || quote_spanned!(place=> .errors(#private::Returns::<#output>::new().__errors())),
            ),
        };
        let cache = self.args.cache_err.as_ref().map(|(_, time)| match time {
            _ if only_type => quote_spanned!(place=> .caches_err()),
            Ttl::Time(time) => {
                let time = self.time(time);
                let time = self
                    .in_task(|task| task.tokens(time.clone()))
                    .unwrap_or(time);
                quote_spanned!(place=> .cache_err(#time))
            }
            Ttl::Closure(rule) => {
                let rule = self.of_error(rule, Some("Duration"));
                quote_spanned!(place=> .cache_err_by(#rule))
            }
        });
        quote_spanned!(place=> #share #cache)
    }

    /// A closure about the error: its type is known.
    fn of_error(&self, rule: &Rule, answer: Option<&str>) -> TokenStream {
        match rule {
            Rule::Function(function) => function.to_token_stream(),
            Rule::Closure(closure) => {
                let closure = self.closure(closure);
                match answer {
                    Some(answer) => self.answering(&closure, answer).to_token_stream(),
                    None => closure.to_token_stream(),
                }
            }
        }
    }

    /// As it reads in the task, if there is one.
    fn closure(&self, closure: &ExprClosure) -> ExprClosure {
        self.in_task(|task| task.closure(closure))
            .unwrap_or_else(|| closure.clone())
    }

    /// A closure that names its parameter's type is matched by it; for another one the type is known.
    /// A type that does not match is a matter between the closure and the return type: spanned there.
    fn rule(&self, rule: &Rule, returns: &TokenStream, answer: &str) -> TokenStream {
        let place = at(self.output.span());
        let private = private(self.args, place);
        match rule {
            Rule::Function(function) => quote_spanned!(place=> #private::by_type(#function)),
            Rule::Closure(closure) => {
                let closure = &self.closure(closure);
                let typed = matches!(closure.inputs.first(), Some(Pat::Type(_)));
                let closure = self.answering(closure, answer);
                if typed {
                    quote_spanned!(place=> #private::by_type(#closure))
                } else {
                    let value = match self.args.each {
                        Some(_) => quote_spanned!(place=> #private::value_of_one(#returns.__map())),
                        None => quote_spanned!(place=> #returns.__value()),
                    };
                    quote_spanned!(place=> #value.__by(#closure))
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
