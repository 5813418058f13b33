//! Of async functions.

use expect_test::expect;
use quote::quote;

use super::check;

#[test]
fn an_async_method_with_the_default_key() {
    check(
        quote!(via = self.sharing, skip(log), force_refresh = fresh),
        quote! {
            async fn profile(&self, (a, b): (u32, u32), log: &Log, fresh: bool) -> Result<Profile, Error> {
                self.load(a, b).await
            }
        },
        expect![[r#"
            async fn profile(
                &self,
                __argument1: (u32, u32),
                log: &Log,
                fresh: bool,
            ) -> Result<Profile, Error> {
                let __key = ::worksharing::__private_0_1::DefaultKey::new(|| {})
                    .arg(&self)
                    .arg(&__argument1)
                    .finish();
                let (a, b) = __argument1;
                let __plan = ::worksharing::__private_0_1::Plan::via(
                        &self.sharing,
                        __key,
                        ::worksharing::__private_0_1::concat!(
                            ::worksharing::__private_0_1::module_path!(), "::profile"
                        ),
                    )
                    .force_refresh(fresh);
                let __lead = match ::worksharing::__private_0_1::acquire(
                        __plan,
                        ::worksharing::__private_0_1::Returns::<Result<Profile, Error>>::new()
                            .__policy()
                            .errors(
                                ::worksharing::__private_0_1::Returns::<
                                    Result<Profile, Error>,
                                >::new()
                                    .__errors(),
                            ),
                    )
                    .await
                {
                    ::worksharing::__private_0_1::Acquired::Value(__value) => return __value,
                    ::worksharing::__private_0_1::Acquired::Lead(__lead)
                    | ::worksharing::__private_0_1::Acquired::TimedOut(__lead) => __lead,
                };
                ::worksharing::__private_0_1::land(
                        __lead,
                        ::worksharing::__private_0_1::Returns::<Result<Profile, Error>>::new()
                            .__policy()
                            .errors(
                                ::worksharing::__private_0_1::Returns::<
                                    Result<Profile, Error>,
                                >::new()
                                    .__errors(),
                            ),
                        ::worksharing::__private_0_1::pin!(
                            async move { if false { return ::worksharing::__private_0_1::never:: <
                            Result < Profile, Error > > (); } { self.load(a, b). await } }
                        ),
                    )
                    .await
            }
        "#]],
    );
}

#[test]
fn a_handle() {
    check(
        quote!(handle = report_call),
        quote! {
            /// Makes the report.
            #[must_use]
            #[expect(clippy::pedantic)]
            pub(crate) async fn report<T: Kind, const N: usize>(&self, mut year: u32, _: T) -> Report {
                build(year)
            }
        },
        expect![[r#"
            /// Makes the report.
            #[must_use]
            #[allow(clippy::pedantic)]
            pub(crate) async fn report<T: Kind, const N: usize>(
                &self,
                year: u32,
                __argument2: T,
            ) -> Report {
                Self::report_call::<T, N>(self, year, __argument2).get().await
            }
            ///The call of `report` as a value.
            #[allow(clippy::pedantic)]
            pub(crate) fn report_call<T: Kind, const N: usize>(
                &self,
                mut year: u32,
                __argument2: T,
            ) -> ::worksharing::__private_0_1::AsyncCall<
                Report,
                impl ::worksharing::__private_0_1::Policy<Returned = Report>,
                impl ::worksharing::__private_0_1::GoOn<
                    Returned = Report,
                    Rest = impl ::worksharing::__private_0_1::Future<Output = Report>,
                >,
            > {
                let __key = ::worksharing::__private_0_1::DefaultKey::of_handle(|| {}, "report")
                    .arg(&self)
                    .arg(&year)
                    .arg(&__argument2)
                    .finish();
                let __plan = ::worksharing::__private_0_1::Plan::installed(
                    __key,
                    ::worksharing::__private_0_1::concat!(
                        ::worksharing::__private_0_1::module_path!(), "::report"
                    ),
                );
                ::worksharing::__private_0_1::AsyncCall::new(
                    __plan,
                    ::worksharing::__private_0_1::Returns::<Report>::new()
                        .__policy()
                        .errors(::worksharing::__private_0_1::Returns::<Report>::new().__errors()),
                    move |__acquired| async move {
                        let __lead = match __acquired {
                            ::worksharing::__private_0_1::Acquired::Value(__value) => return __value,
                            ::worksharing::__private_0_1::Acquired::Lead(__lead)
                            | ::worksharing::__private_0_1::Acquired::TimedOut(__lead) => __lead,
                        };
                        ::worksharing::__private_0_1::land(
                                __lead,
                                ::worksharing::__private_0_1::Returns::<Report>::new()
                                    .__policy()
                                    .errors(
                                        ::worksharing::__private_0_1::Returns::<Report>::new()
                                            .__errors(),
                                    ),
                                ::worksharing::__private_0_1::pin!(
                                    async move { if false { return
                                    ::worksharing::__private_0_1::never:: < Report > (); } {
                                    build(year) } }
                                ),
                            )
                            .await
                    },
                )
            }
        "#]],
    );
}

#[test]
fn an_async_trait_method() {
    check(
        quote!(key = "page:{path}"),
        quote! {
            fn page<'life0, 'async_trait>(&'life0 self, path: String)
                -> Pin<Box<dyn Future<Output = Page> + Send + 'async_trait>>
            where
                Self: 'async_trait,
            {
                Box::pin(async move {
                    let __self = self;
                    let __ret: Page = { __self.load(path).await };
                    __ret
                })
            }
        },
        expect![[r#"
            fn page<'life0, 'async_trait>(
                &'life0 self,
                path: String,
            ) -> Pin<Box<dyn Future<Output = Page> + Send + 'async_trait>>
            where
                Self: 'async_trait,
            {
                Box::pin(async move {
                    let __key = ::worksharing::__private_0_1::format!("page:{}", path);
                    let __plan = ::worksharing::__private_0_1::Plan::installed(
                        __key,
                        ::worksharing::__private_0_1::concat!(
                            ::worksharing::__private_0_1::module_path!(), "::page"
                        ),
                    );
                    let __lead = match ::worksharing::__private_0_1::acquire(
                            __plan,
                            ::worksharing::__private_0_1::Returns::<Page>::new()
                                .__policy()
                                .errors(
                                    ::worksharing::__private_0_1::Returns::<Page>::new().__errors(),
                                ),
                        )
                        .await
                    {
                        ::worksharing::__private_0_1::Acquired::Value(__value) => return __value,
                        ::worksharing::__private_0_1::Acquired::Lead(__lead)
                        | ::worksharing::__private_0_1::Acquired::TimedOut(__lead) => __lead,
                    };
                    ::worksharing::__private_0_1::land(
                            __lead,
                            ::worksharing::__private_0_1::Returns::<Page>::new()
                                .__policy()
                                .errors(
                                    ::worksharing::__private_0_1::Returns::<Page>::new().__errors(),
                                ),
                            ::worksharing::__private_0_1::pin!(
                                async move { if false { return ::worksharing::__private_0_1::never::
                                < Page > (); } { let __self = self; let __ret : Page = { __self
                                .load(path). await }; __ret } }
                            ),
                        )
                        .await
                })
            }
        "#]],
    );
}
