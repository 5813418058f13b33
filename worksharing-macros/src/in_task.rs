//! How the user's tokens read in the task of a detached computation.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::ExprClosure;

use crate::task::captures;

/// ```text
/// self.load(x as &'a str); loop { fn f(&self) {} }
/// ```
/// becomes
/// ```text
/// __this.load(x as &'_ str); loop { fn f(&self) {} }
/// ```
pub(crate) struct InTask<'a> {
    /// The name of `self` there.
    pub(crate) this: &'a Ident,
    /// Those of the signature: in the task nothing lives for so long.
    pub(crate) lifetimes: Vec<&'a Ident>,
}

impl InTask<'_> {
    pub(crate) fn group(&self, group: &Group) -> Group {
        let mut anew = Group::new(group.delimiter(), self.tokens(group.stream()));
        anew.set_span(group.span());
        anew
    }

    pub(crate) fn closure(&self, closure: &ExprClosure) -> ExprClosure {
        syn::parse2(self.tokens(closure.to_token_stream())).unwrap_or_else(|_| closure.clone())
    }

    pub(crate) fn tokens(&self, tokens: TokenStream) -> TokenStream {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut anew = Vec::with_capacity(tokens.len());
        while anew.len() < tokens.len() {
            let at = anew.len();
            if let Some(end) = end_of_item(&tokens, at) {
                anew.extend_from_slice(&tokens[at..end]);
                continue;
            }
            anew.push(match &tokens[at] {
                TokenTree::Group(group) => self.group(group).into(),
                TokenTree::Ident(word) if word == "self" && !is_path(&tokens, at) => {
                    self.this(word)
                }
                TokenTree::Ident(word) if self.is_lifetime(word, &tokens, at) => {
                    Ident::new("_", word.span()).into()
                }
                token => token.clone(),
            });
        }
        anew.into_iter().collect()
    }

    fn this(&self, word: &Ident) -> TokenTree {
        let mut this = self.this.clone();
        this.set_span(this.span().located_at(word.span()));
        this.into()
    }

    /// Labels look the same.
    fn is_lifetime(&self, word: &Ident, tokens: &[TokenTree], at: usize) -> bool {
        let is_quoted = at > 0 && is_punct(&tokens[at - 1], '\'');
        let is_jump = at > 1
            && matches!(&tokens[at - 2], TokenTree::Ident(before) if before == "break" || before == "continue");
        let is_label = tokens.get(at + 1).is_some_and(|next| is_punct(next, ':'))
            && tokens.get(at + 2).is_some_and(begins_loop);
        is_quoted && !is_jump && !is_label && self.lifetimes.contains(&word)
    }
}

fn begins_loop(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(word) => word == "loop" || word == "while" || word == "for",
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    }
}

fn is_punct(token: &TokenTree, punct: char) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == punct)
}

/// `self::…`
fn is_path(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |at: usize| tokens.get(at).is_some_and(|token| is_punct(token, ':'));
    colon(at + 1) && colon(at + 2)
}

/// Where the item ends that begins here, if one does: it has a `self` and lifetimes of its own.
fn end_of_item(tokens: &[TokenTree], at: usize) -> Option<usize> {
    let TokenTree::Ident(word) = &tokens[at] else {
        return None;
    };
    match word.to_string().as_str() {
        // Else it is a type.
        "fn" if matches!(tokens.get(at + 1), Some(TokenTree::Ident(_))) => {}
        "impl" | "trait" | "mod" | "struct" | "enum" | "type" | "use" => {}
        _ => return None,
    }
    let is_use = word == "use";
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !is_use,
        token => is_punct(token, ';'),
    };
    let length = tokens[at..].iter().position(is_end)?;
    Some(at + length + 1)
}

/// Where a format string captures `self`, which cannot be given another name there.
pub(crate) fn captured_self(tokens: TokenStream) -> Option<Span> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        if let Some(end) = end_of_item(&tokens, at) {
            at = end;
            continue;
        }
        if let TokenTree::Group(group) = &tokens[at] {
            let is_macro = at > 1
                && is_punct(&tokens[at - 1], '!')
                && matches!(tokens[at - 2], TokenTree::Ident(_));
            let here = || {
                group
                    .stream()
                    .into_iter()
                    .find_map(|token| capturing_self(&token))
            };
            let found = is_macro.then(here).flatten();
            if let Some(span) = found.or_else(|| captured_self(group.stream())) {
                return Some(span);
            }
        }
        at += 1;
    }
    None
}

fn capturing_self(token: &TokenTree) -> Option<Span> {
    let TokenTree::Literal(literal) = token else {
        return None;
    };
    let text = literal.to_string().replace("{{", "");
    captures(&text, "self").then(|| literal.span())
}
