//! What the attribute makes of a function, as ordinary Rust. `UPDATE_EXPECT=1 cargo test` rewrites it.

use expect_test::{Expect, expect};
use proc_macro2::TokenStream;
use quote::quote;

mod async_fns;
mod detached;
mod each;
mod tags;

fn check(options: TokenStream, item: TokenStream, expected: Expect) {
    let output = crate::work_shared_impl(options, item);
    let file = syn::parse2(output).unwrap();
    expected.assert_eq(&prettyplease::unparse(&file));
}

#[test]
fn a_plain_function() {
    check(
        quote!(ttl = "60s", key = "report:{year}:{region}"),
        quote! {
            /// Makes the report.
            pub fn report(year: u32, region: &str) -> Report {
                build(year, region)
            }
        },
        expect![[r#"
            /// Makes the report.
            pub fn report(year: u32, region: &str) -> Report {
                let __key = ::worksharing::__private_0_1::format!("report:{}:{}", year, region);
                let __plan = ::worksharing::__private_0_1::Plan::installed(
                        __key,
                        ::worksharing::__private_0_1::concat!(
                            ::worksharing::__private_0_1::module_path!(), "::report"
                        ),
                    )
                    .ttl(::worksharing::__private_0_1::Duration::from_millis(60000));
                let __lead = match ::worksharing::__private_0_1::acquire_blocking(
                    __plan,
                    ::worksharing::__private_0_1::Returns::<Report>::new()
                        .__policy()
                        .errors(::worksharing::__private_0_1::Returns::<Report>::new().__errors()),
                ) {
                    ::worksharing::__private_0_1::Acquired::Value(__value) => return __value,
                    ::worksharing::__private_0_1::Acquired::Lead(__lead)
                    | ::worksharing::__private_0_1::Acquired::TimedOut(__lead) => __lead,
                };
                ::worksharing::__private_0_1::land_blocking(
                    __lead,
                    ::worksharing::__private_0_1::Returns::<Report>::new()
                        .__policy()
                        .errors(::worksharing::__private_0_1::Returns::<Report>::new().__errors()),
                    move || -> Report { build(year, region) },
                )
            }
        "#]],
    );
}

#[test]
fn closures_and_flags() {
    check(
        quote!(
            key = key_of(id),
            ttl = |user| user.ttl,
            cache_if = |user: &User| user.active,
            cache_none,
            version = 2,
            name = "users",
            crate = shared::worksharing
        ),
        quote! {
            fn user(id: u64) -> Option<User> {
                find(id)
            }
        },
        expect![[r#"
            fn user(id: u64) -> Option<User> {
                let __key = shared::worksharing::__private_0_1::text(&key_of(id));
                let __plan = shared::worksharing::__private_0_1::Plan::installed(__key, "users")
                    .version(2)
                    .cache_none();
                let __lead = match shared::worksharing::__private_0_1::acquire_blocking(
                    __plan,
                    shared::worksharing::__private_0_1::Returns::<Option<User>>::new()
                        .__policy()
                        .errors(
                            shared::worksharing::__private_0_1::Returns::<Option<User>>::new()
                                .__errors(),
                        ),
                ) {
                    shared::worksharing::__private_0_1::Acquired::Value(__value) => return __value,
                    shared::worksharing::__private_0_1::Acquired::Lead(__lead)
                    | shared::worksharing::__private_0_1::Acquired::TimedOut(__lead) => __lead,
                };
                shared::worksharing::__private_0_1::land_blocking(
                    __lead,
                    shared::worksharing::__private_0_1::Returns::<Option<User>>::new()
                        .__policy()
                        .errors(
                            shared::worksharing::__private_0_1::Returns::<Option<User>>::new()
                                .__errors(),
                        )
                        .cache_if(
                            shared::worksharing::__private_0_1::by_type(|
                                user: &User,
                            | -> shared::worksharing::__private_0_1::bool { { user.active } }),
                        )
                        .ttl(
                            shared::worksharing::__private_0_1::Returns::<Option<User>>::new()
                                .__value()
                                .__by(|user| -> shared::worksharing::__private_0_1::Duration {
                                    { user.ttl }
                                }),
                        ),
                    move || -> Option<User> { find(id) },
                )
            }
        "#]],
    );
}

/// What a hit does not need is made after the look.
#[test]
fn a_value_that_is_kept_locally() {
    check(
        quote!(
            ttl = "60s",
            key = "report:{year}",
            version = 2,
            stale_while_revalidate = "10m",
            tags("year:{year}", function),
            local = "5s",
            via = state.sharing
        ),
        quote! {
            fn report(state: &State, year: u32) -> Report {
                build(state, year)
            }
        },
        expect![[r#"
            fn report(state: &State, year: u32) -> Report {
                let __key = {
                    let mut __text = ::worksharing::__private_0_1::take();
                    __text.push_str("report:");
                    ::worksharing::__private_0_1::Piece::new(&year).__put(&mut __text);
                    __text
                };
                let __plan = {
                    let __via: &::worksharing::__private_0_1::WorkSharing = &state.sharing;
                    let mut __sought = ::worksharing::__private_0_1::Sought::via(
                            __via,
                            __key,
                            ::worksharing::__private_0_1::concat!(
                                ::worksharing::__private_0_1::module_path!(), "::report"
                            ),
                        )
                        .version(2)
                        .salted(::worksharing::__private_0_1::format_args!("year:{}", year))
                        .salted(
                            ::worksharing::__private_0_1::format_args!(
                                "\u{1}{}",
                                ::worksharing::__private_0_1::concat!(::worksharing::__private_0_1::module_path!(),
                                "::report")
                            ),
                        );
                    if let ::worksharing::__private_0_1::Some(__value) = __sought
                        .find(
                            ::worksharing::__private_0_1::Returns::<Report>::new()
                                .__policy()
                                .local()
                                .errors(
                                    ::worksharing::__private_0_1::Returns::<Report>::new().__errors(),
                                ),
                        )
                    {
                        return __value;
                    }
                    __sought.plan()
                }
                    .ttl(::worksharing::__private_0_1::Duration::from_millis(60000))
                    .tag(&::worksharing::__private_0_1::format!("year:{}", year))
                    .function_tag()
                    .local(::worksharing::__private_0_1::Duration::from_millis(5000))
                    .stale_while_revalidate(
                        ::worksharing::__private_0_1::Duration::from_millis(600000),
                    );
                let __lead = match ::worksharing::__private_0_1::acquire_blocking(
                    __plan,
                    ::worksharing::__private_0_1::Returns::<Report>::new()
                        .__policy()
                        .local()
                        .errors(::worksharing::__private_0_1::Returns::<Report>::new().__errors()),
                ) {
                    ::worksharing::__private_0_1::Acquired::Value(__value) => return __value,
                    ::worksharing::__private_0_1::Acquired::Lead(__lead)
                    | ::worksharing::__private_0_1::Acquired::TimedOut(__lead) => __lead,
                };
                ::worksharing::__private_0_1::land_blocking(
                    __lead,
                    ::worksharing::__private_0_1::Returns::<Report>::new()
                        .__policy()
                        .local()
                        .errors(::worksharing::__private_0_1::Returns::<Report>::new().__errors()),
                    move || -> Report { build(state, year) },
                )
            }
        "#]],
    );
}

#[test]
fn after_a_mistake_the_function_stays() {
    check(
        quote!(ttl = 60, banana = 1),
        quote! {
            fn answer() -> u32 {
                42
            }
        },
        expect![[r#"
            fn answer() -> u32 {
                42
            }
            ::core::compile_error! {
                "a number has no unit: write `ttl = \"60s\"`"
            }
            ::core::compile_error! {
                "unknown option `banana`: the options are `ttl`, `key`, `each`, `tags`, `skip`, `skip_all`, `force_refresh`, `via`, `cache_if`, `cache_none`, `share_err`, `cache_err`, `stale_while_revalidate`, `stale_if_error`, `early_refresh`, `jitter`, `wait`, `on_timeout`, `local`, `detach`, `version`, `handle`, `name`, `crate`"
            }
        "#]],
    );
}
