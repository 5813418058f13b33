//! The option `each`.

use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::visit::Visit;
use syn::{Ident, Pat, PatIdent, Token};

/// `each = id in ids`
pub(crate) struct Each {
    /// The word itself.
    pub(crate) name: Ident,
    /// One id: a name, or a pattern of names.
    pub(crate) id: Pat,
    /// What `id` binds.
    pub(crate) bound: Vec<Ident>,
    /// The argument that holds the ids.
    pub(crate) ids: Ident,
}

const WRITE: &str =
    "write a name for one id, and the argument that holds all of them: `each = id in ids`";

/// What follows the word `each`.
pub(super) fn each(name: &Ident, input: ParseStream<'_>) -> syn::Result<Each> {
    let wrong = |span| syn::Error::new(span, WRITE);
    if !input.peek(Token![=]) {
        return Err(wrong(name.span()));
    }
    input.parse::<Token![=]>()?;
    let at = input.span();
    let is_over = input.is_empty() || input.peek(Token![,]);
    let at = if is_over { name.span() } else { at };
    let id = Pat::parse_single(input).map_err(|_| wrong(at))?;
    let bound = bindings(&id).ok_or_else(|| wrong(at))?;
    let at = if input.is_empty() { at } else { input.span() };
    input.parse::<Token![in]>().map_err(|_| wrong(at))?;
    let at = if input.is_empty() { at } else { input.span() };
    // `self` is a word, too, and of that there is more to say.
    let ids = input.call(Ident::parse_any).map_err(|_| wrong(at))?;
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(Each {
            name: name.clone(),
            id,
            bound,
            ids,
        });
    }
    Err(wrong(input.span()))
}

/// What a pattern binds, if that is something, and the pattern fits always, as far as it can be seen.
fn bindings(pattern: &Pat) -> Option<Vec<Ident>> {
    #[derive(Default)]
    struct Bindings {
        names: Vec<Ident>,
        is_other: bool,
    }
    impl<'ast> Visit<'ast> for Bindings {
        fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
            self.names.push(pattern.ident.clone());
            self.is_other |= pattern.by_ref.is_some() || pattern.mutability.is_some();
            syn::visit::visit_pat_ident(self, pattern);
        }
        fn visit_pat(&mut self, pattern: &'ast Pat) {
            self.is_other |= matches!(
                pattern,
                Pat::Lit(_) | Pat::Range(_) | Pat::Or(_) | Pat::Const(_) | Pat::Macro(_)
            );
            syn::visit::visit_pat(self, pattern);
        }
    }
    let mut bindings = Bindings::default();
    bindings.visit_pat(pattern);
    let fits = !bindings.is_other && !bindings.names.is_empty();
    fits.then_some(bindings.names)
}
