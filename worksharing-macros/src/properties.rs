//! Whatever stands in a template or a duration, the attribute answers with Rust: the function, and for a mistake
//! an error beside it. The corpora are texts that are interesting; proptest adds others.

use proc_macro2::TokenStream;
use proptest::prelude::*;
use quote::quote;

use crate::{duration, work_shared_impl};

/// What the attribute makes of a function with these options.
fn expanded(options: TokenStream) -> String {
    let item = quote! {
        fn work(a: u32, b: &str) -> u64 {
            42
        }
    };
    let output = work_shared_impl(options, item);
    let file = syn::parse2::<syn::File>(output).expect("it is Rust");
    assert!(
        file.items
            .iter()
            .any(|item| matches!(item, syn::Item::Fn(work) if work.sig.ident == "work")),
        "the function is gone"
    );
    prettyplease::unparse(&file)
}

fn is_refused(expansion: &str) -> bool {
    expansion.contains("compile_error!")
}

#[test]
fn corpus_of_templates_is_survived() {
    for template in include_str!("corpus/templates.txt").lines() {
        expanded(quote!(key = #template, tags(#template)));
    }
}

#[test]
fn corpus_of_durations_is_survived() {
    for text in include_str!("corpus/durations.txt").lines() {
        let is_valid = duration::parse(text).is_ok();
        assert_eq!(
            is_refused(&expanded(quote!(ttl = #text))),
            !is_valid,
            "{text:?}"
        );
    }
}

/// A piece of a template, and of the format string that it becomes.
fn piece() -> impl Strategy<Value = (String, String)> {
    let same = |text: &str| (text.to_owned(), text.to_owned());
    prop_oneof![
        "[a-z:/ é世]{0,5}".prop_map(|text| (text.clone(), text)),
        Just(same("{{")),
        Just(same("}}")),
        Just(("{a}".to_owned(), "{}".to_owned())),
        Just(("{b:?}".to_owned(), "{:?}".to_owned())),
        Just(("{1:>8}".to_owned(), "{:>8}".to_owned())),
        Just(("{b.len():04}".to_owned(), "{:04}".to_owned())),
    ]
}

proptest! {
    #[test]
    fn any_template_is_survived(template in "[{}a-c0-9:?.()|, \"#é]{0,24}|.{0,24}") {
        expanded(quote!(key = #template));
    }

    #[test]
    fn templates_are_used_as_written(pieces in proptest::collection::vec(piece(), 0..8)) {
        let template: String = pieces.iter().map(|(template, _)| template.as_str()).collect();
        let format: String = pieces.iter().map(|(_, format)| format.as_str()).collect();
        let literal = syn::LitStr::new(&format, proc_macro2::Span::call_site());
        let literal = quote!(#literal).to_string();
        let tags = (!template.is_empty()).then(|| quote!(tags(#template, function)));
        for options in [Some(quote!(key = #template)), tags].into_iter().flatten() {
            let expansion = expanded(options);
            prop_assert!(!is_refused(&expansion), "{template:?}: {expansion}");
            prop_assert!(expansion.contains(&literal), "{template:?}: {expansion}");
        }
    }

    #[test]
    fn any_duration_is_a_time_or_an_error(text in "[0-9a-z. ]{0,16}|.{0,16}") {
        if let Ok(time) = duration::parse(&text) {
            prop_assert!(!time.is_zero());
            prop_assert!(i64::try_from(time.as_millis()).is_ok());
        }
    }

    #[test]
    fn durations_are_sums(parts in proptest::collection::vec((0u64..1_000_000, 0usize..6), 1..6)) {
        const UNITS: [(&str, u64); 6] =
            [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
        let text: Vec<String> = parts.iter().map(|(n, unit)| format!("{n}{}", UNITS[*unit].0)).collect();
        let sum: u64 = parts.iter().map(|(n, unit)| n * UNITS[*unit].1).sum();
        let parsed = duration::parse(&text.join(" ")).ok();
        prop_assert_eq!(parsed.map(|time| time.as_millis()), (sum > 0).then_some(u128::from(sum)));
    }
}
