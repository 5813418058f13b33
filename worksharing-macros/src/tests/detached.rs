//! Of detached computations.

use expect_test::expect;
use quote::quote;

use super::check;

#[test]
fn an_async_function() {
    check(
        quote!(detach, key = "profile:{user}"),
        quote! {
            async fn profile<'a>(state: &'a State, user: u64, log: &dyn Log) -> Profile {
                let state: &'a State = state;
                state.load(user).await
            }
        },
        expect![[r#"
            async fn profile<'a>(state: &'a State, user: u64, log: &dyn Log) -> Profile {
                let __key = ::worksharing::__private_0_1::format!("profile:{}", user);
                let __plan = ::worksharing::__private_0_1::Plan::installed(
                        __key,
                        ::worksharing::__private_0_1::concat!(
                            ::worksharing::__private_0_1::module_path!(), "::profile"
                        ),
                    )
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
                            let __kept0 = ::worksharing::__private_0_1::Cloned
                                .__keep(state)
                                .__shared();
                            let __kept1 = ::worksharing::__private_0_1::argument(&user)
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
                                let state = __kept0.__lent(&mut __owner0);
                                let mut __owner1 = ::worksharing::__private_0_1::None;
                                #[allow(
                                    unused_variables,
                                    clippy::shadow_reuse,
                                    clippy::shadow_same,
                                    clippy::shadow_unrelated
                                )]
                                let user = __kept1.__lent(&mut __owner1);
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
                                            let state : & '_ State = state; state.load(user). await } }
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
fn a_method() {
    check(
        quote!(detach, key = "report:{self.id}"),
        quote! {
            fn report(&self, mut year: u32) -> Report {
                impl Year {
                    fn next(&self) -> u32 { self.0 + 1 }
                }
                year += 1;
                self.build(year, self::REGION)
            }
        },
        expect![[r#"
            fn report(&self, year: u32) -> Report {
                let __key = ::worksharing::__private_0_1::format!("report:{}", self.id);
                let __plan = ::worksharing::__private_0_1::Plan::installed(
                        __key,
                        ::worksharing::__private_0_1::concat!(
                            ::worksharing::__private_0_1::module_path!(), "::report"
                        ),
                    )
                    .detach();
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
                match ::worksharing::__private_0_1::detach_blocking(
                    __lead,
                    ::worksharing::__private_0_1::Returns::<Report>::new()
                        .__policy()
                        .errors(::worksharing::__private_0_1::Returns::<Report>::new().__errors()),
                    {
                        let __kept0 = ::worksharing::__private_0_1::Cloned.__keep(self).__sent();
                        let __kept1 = ::worksharing::__private_0_1::argument(&year)
                            .__taken()
                            .__keep(year)
                            .__sent();
                        move |__lead: ::worksharing::__private_0_1::Leading| {
                            let mut __owner0 = ::worksharing::__private_0_1::None;
                            #[allow(
                                unused_variables,
                                clippy::shadow_reuse,
                                clippy::shadow_same,
                                clippy::shadow_unrelated
                            )]
                            let __this = __kept0.__lent(&mut __owner0);
                            let mut __owner1 = ::worksharing::__private_0_1::None;
                            #[allow(
                                unused_variables,
                                clippy::shadow_reuse,
                                clippy::shadow_same,
                                clippy::shadow_unrelated
                            )]
                            let mut year = __kept1.__lent(&mut __owner1);
                            ::worksharing::__private_0_1::land_blocking(
                                __lead,
                                ::worksharing::__private_0_1::Returns::<Report>::new()
                                    .__policy()
                                    .errors(
                                        ::worksharing::__private_0_1::Returns::<Report>::new()
                                            .__errors(),
                                    ),
                                move || -> Report {
                                    impl Year {
                                        fn next(&self) -> u32 {
                                            self.0 + 1
                                        }
                                    }
                                    year += 1;
                                    __this.build(year, self::REGION)
                                },
                            )
                        }
                    },
                ) {
                    ::worksharing::__private_0_1::Ok(__value) => __value,
                    ::worksharing::__private_0_1::Err(__rest) => __rest(),
                }
            }
        "#]],
    );
}

#[test]
fn everything() {
    check(
        quote!(
            detach,
            ttl = "1m",
            stale_while_revalidate = "10m",
            stale_if_error = A_DAY,
            early_refresh,
            jitter = "10%",
            wait = "2s",
            on_timeout = Err(Error::Busy),
            cache_if = |profile| profile.id == self.id,
            handle = profile_call,
            via = self.sharing,
            skip(self)
        ),
        quote! {
            async fn profile(&self, (a, mut b): (u32, u32)) -> Result<Profile, Error> {
                b += 1;
                self.load(a, b).await
            }
        },
        expect![[r#"
            async fn profile(&self, __argument1: (u32, u32)) -> Result<Profile, Error> {
                Self::profile_call(self, __argument1).get().await
            }
            ///The call of `profile` as a value.
            fn profile_call(
                &self,
                __argument1: (u32, u32),
            ) -> ::worksharing::__private_0_1::AsyncCall<
                Result<Profile, Error>,
                impl ::worksharing::__private_0_1::Policy<Returned = Result<Profile, Error>>,
                impl ::worksharing::__private_0_1::GoOn<
                    Returned = Result<Profile, Error>,
                    Rest = impl ::worksharing::__private_0_1::Future<Output = Result<Profile, Error>>,
                >,
            > {
                let __key = ::worksharing::__private_0_1::DefaultKey::of_handle(|| {}, "profile")
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
                    .ttl(::worksharing::__private_0_1::Duration::from_millis(60000))
                    .detach()
                    .stale_while_revalidate(
                        ::worksharing::__private_0_1::Duration::from_millis(600000),
                    )
                    .stale_if_error(
                        ::worksharing::__private_0_1::of_errors(
                            ::worksharing::__private_0_1::Returns::<Result<Profile, Error>>::new()
                                .__policy(),
                            A_DAY,
                        ),
                    )
                    .early_refresh(1f64)
                    .jitter_part(0.1f64)
                    .wait(::worksharing::__private_0_1::Duration::from_millis(2000));
                ::worksharing::__private_0_1::AsyncCall::new(
                    __plan,
                    ::worksharing::__private_0_1::Returns::<Result<Profile, Error>>::new()
                        .__policy()
                        .errors(
                            ::worksharing::__private_0_1::Returns::<Result<Profile, Error>>::new()
                                .__errors(),
                        ),
                    move |__acquired| async move {
                        let __lead = match __acquired {
                            ::worksharing::__private_0_1::Acquired::Value(__value) => return __value,
                            ::worksharing::__private_0_1::Acquired::Lead(__lead) => {
                                ::worksharing::__private_0_1::Some(__lead)
                            }
                            ::worksharing::__private_0_1::Acquired::TimedOut(_) => {
                                ::worksharing::__private_0_1::None
                            }
                        };
                        if let ::worksharing::__private_0_1::Some(__lead) = __lead {
                            if let ::worksharing::__private_0_1::Ok(__value) = ::worksharing::__private_0_1::detach(
                                    __lead,
                                    ::worksharing::__private_0_1::Returns::<
                                        Result<Profile, Error>,
                                    >::new()
                                        .__policy()
                                        .errors(
                                            ::worksharing::__private_0_1::Returns::<
                                                Result<Profile, Error>,
                                            >::new()
                                                .__errors(),
                                        ),
                                    move |__lead: ::worksharing::__private_0_1::Leading| {
                                        let __kept0 = ::worksharing::__private_0_1::Cloned
                                            .__keep(self)
                                            .__shared();
                                        let __kept1 = ::worksharing::__private_0_1::argument(&a)
                                            .__taken()
                                            .__keep(a)
                                            .__shared();
                                        let __kept2 = ::worksharing::__private_0_1::argument(&b)
                                            .__taken()
                                            .__keep(b)
                                            .__shared();
                                        async move {
                                            let mut __owner0 = ::worksharing::__private_0_1::None;
                                            #[allow(
                                                unused_variables,
                                                clippy::shadow_reuse,
                                                clippy::shadow_same,
                                                clippy::shadow_unrelated
                                            )]
                                            let __this = __kept0.__lent(&mut __owner0);
                                            let mut __owner1 = ::worksharing::__private_0_1::None;
                                            #[allow(
                                                unused_variables,
                                                clippy::shadow_reuse,
                                                clippy::shadow_same,
                                                clippy::shadow_unrelated
                                            )]
                                            let a = __kept1.__lent(&mut __owner1);
                                            let mut __owner2 = ::worksharing::__private_0_1::None;
                                            #[allow(
                                                unused_variables,
                                                clippy::shadow_reuse,
                                                clippy::shadow_same,
                                                clippy::shadow_unrelated
                                            )]
                                            let mut b = __kept2.__lent(&mut __owner2);
                                            ::worksharing::__private_0_1::land(
                                                    __lead,
                                                    ::worksharing::__private_0_1::Returns::<
                                                        Result<Profile, Error>,
                                                    >::new()
                                                        .__policy()
                                                        .errors(
                                                            ::worksharing::__private_0_1::Returns::<
                                                                Result<Profile, Error>,
                                                            >::new()
                                                                .__errors(),
                                                        )
                                                        .cache_if(
                                                            ::worksharing::__private_0_1::Returns::<
                                                                Result<Profile, Error>,
                                                            >::new()
                                                                .__value()
                                                                .__by(|profile| -> ::worksharing::__private_0_1::bool {
                                                                    { profile.id == __this.id }
                                                                }),
                                                        ),
                                                    ::worksharing::__private_0_1::pin!(
                                                        async move { if false { return
                                                        ::worksharing::__private_0_1::never:: < Result < Profile,
                                                        Error > > (); } { b += 1; __this.load(a, b). await } }
                                                    ),
                                                )
                                                .await
                                        }
                                    },
                                )
                                .await
                            {
                                return __value;
                            }
                        }
                        Err(Error::Busy)
                    },
                )
            }
        "#]],
    );
}
