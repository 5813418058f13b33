//! Of functions with tags.

use expect_test::expect;
use quote::quote;

use super::check;

#[test]
fn tags_of_arguments_and_of_the_function() {
    check(
        quote!(
            key = "profile:{user}",
            tags("user:{user}", function, "{{reports}}"),
            detach
        ),
        quote! {
            async fn profile(user: u64) -> Profile {
                load(user).await
            }
        },
        expect![[r#"
            async fn profile(user: u64) -> Profile {
                let __key = ::worksharing::__private_0_1::format!("profile:{}", user);
                let __plan = ::worksharing::__private_0_1::Plan::installed(
                        __key,
                        ::worksharing::__private_0_1::concat!(
                            ::worksharing::__private_0_1::module_path!(), "::profile"
                        ),
                    )
                    .tag(&::worksharing::__private_0_1::format!("user:{}", user))
                    .tag(&::worksharing::__private_0_1::format!("{{reports}}"))
                    .function_tag()
                    .detach();
                let __lead = match ::worksharing::__private_0_1::acquire(
                        __plan,
                        ::worksharing::__private_0_1::Returns::<Profile>::new()
                            .__policy()
                            .errors(
                                ::worksharing::__private_0_1::Returns::<Profile>::new().__errors(),
                            ),
                    )
                    .await
                {
                    ::worksharing::__private_0_1::Acquired::Value(__value) => return __value,
                    ::worksharing::__private_0_1::Acquired::Lead(__lead)
                    | ::worksharing::__private_0_1::Acquired::TimedOut(__lead) => __lead,
                };
                match ::worksharing::__private_0_1::detach(
                        __lead,
                        ::worksharing::__private_0_1::Returns::<Profile>::new()
                            .__policy()
                            .errors(
                                ::worksharing::__private_0_1::Returns::<Profile>::new().__errors(),
                            ),
                        move |__lead: ::worksharing::__private_0_1::Leading| {
                            let __kept0 = ::worksharing::__private_0_1::argument(&user)
                                .__taken()
                                .__keep(user)
                                .__shared();
                            async move {
                                let mut __owner0 = ::worksharing::__private_0_1::None;
                                #[allow(
                                    unused_variables,
                                    clippy::shadow_reuse,
                                    clippy::shadow_same,
                                    clippy::shadow_unrelated
                                )]
                                let user = __kept0.__lent(&mut __owner0);
                                ::worksharing::__private_0_1::land(
                                        __lead,
                                        ::worksharing::__private_0_1::Returns::<Profile>::new()
                                            .__policy()
                                            .errors(
                                                ::worksharing::__private_0_1::Returns::<Profile>::new()
                                                    .__errors(),
                                            ),
                                        ::worksharing::__private_0_1::pin!(
                                            async move { if false { return
                                            ::worksharing::__private_0_1::never:: < Profile > (); } {
                                            load(user). await } }
                                        ),
                                    )
                                    .await
                            }
                        },
                    )
                    .await
                {
                    ::worksharing::__private_0_1::Ok(__value) => __value,
                    ::worksharing::__private_0_1::Err(__rest) => __rest.await,
                }
            }
        "#]],
    );
}

#[test]
fn tags_of_a_call_with_a_handle_are_part_of_its_plan() {
    check(
        quote!(tags("pair:{a:?}:{0.1}"), name = "pairs", handle = pair_call),
        quote! {
            fn pair(whole: (u32, u32), (a, _): (u32, u32)) -> u32 {
                a
            }
        },
        expect![[r#"
            fn pair(whole: (u32, u32), __argument1: (u32, u32)) -> u32 {
                pair_call(whole, __argument1).get()
            }
            ///The call of `pair` as a value.
            fn pair_call(
                whole: (u32, u32),
                __argument1: (u32, u32),
            ) -> ::worksharing::__private_0_1::Call<
                u32,
                impl ::worksharing::__private_0_1::Policy<Returned = u32>,
                impl ::core::ops::FnOnce(::worksharing::__private_0_1::Acquired<u32>) -> u32,
            > {
                let __key = ::worksharing::__private_0_1::DefaultKey::of_handle(|| {}, "pair")
                    .arg(&whole)
                    .arg(&__argument1)
                    .finish();
                let (a, _) = __argument1;
                let __plan = ::worksharing::__private_0_1::Plan::installed(__key, "pairs")
                    .tag(&::worksharing::__private_0_1::format!("pair:{:?}:{}", a, whole.1));
                ::worksharing::__private_0_1::Call::new(
                    __plan,
                    ::worksharing::__private_0_1::Returns::<u32>::new()
                        .__policy()
                        .errors(::worksharing::__private_0_1::Returns::<u32>::new().__errors()),
                    move |__acquired| -> u32 {
                        let __lead = match __acquired {
                            ::worksharing::__private_0_1::Acquired::Value(__value) => return __value,
                            ::worksharing::__private_0_1::Acquired::Lead(__lead)
                            | ::worksharing::__private_0_1::Acquired::TimedOut(__lead) => __lead,
                        };
                        ::worksharing::__private_0_1::land_blocking(
                            __lead,
                            ::worksharing::__private_0_1::Returns::<u32>::new()
                                .__policy()
                                .errors(
                                    ::worksharing::__private_0_1::Returns::<u32>::new().__errors(),
                                ),
                            move || -> u32 { a },
                        )
                    },
                )
            }
        "#]],
    );
}
