//! Of functions of many ids.

use expect_test::expect;
use quote::quote;

use super::check;

#[test]
fn a_list_of_ids() {
    check(
        quote!(each = id in ids, key = "user:{id}", tags("users", "user:{id}"), ttl = "5m"),
        quote! {
            async fn users(db: &Db, ids: &[u64]) -> Result<HashMap<u64, User>, Error> {
                db.users(ids).await
            }
        },
        expect![[r#"
            async fn users(db: &Db, ids: &[u64]) -> Result<HashMap<u64, User>, Error> {
                let __plan = ::worksharing::__private_0_1::Plan::installed(
                        ::worksharing::__private_0_1::String::new(),
                        ::worksharing::__private_0_1::concat!(
                            ::worksharing::__private_0_1::module_path!(), "::users"
                        ),
                    )
                    .ttl(::worksharing::__private_0_1::Duration::from_millis(300000));
                let __entrants = ::worksharing::__private_0_1::entrants_of(
                    ::worksharing::__private_0_1::Returns::<Result<HashMap<u64, User>, Error>>::new()
                        .__map(),
                    ids,
                    |__id| {
                        #[allow(clippy::pattern_type_mismatch)]
                        let id = __id;
                        let __key = ::worksharing::__private_0_1::format!("user:{}", id);
                        __plan
                            .keyed(__key)
                            .tag(&::worksharing::__private_0_1::format!("users"))
                            .tag(&::worksharing::__private_0_1::format!("user:{}", id))
                    },
                );
                let mut __many = ::worksharing::__private_0_1::many(
                    __entrants,
                    ::worksharing::__private_0_1::policy_of_one(
                            ::worksharing::__private_0_1::Returns::<
                                Result<HashMap<u64, User>, Error>,
                            >::new()
                                .__map(),
                        )
                        .errors(
                            ::worksharing::__private_0_1::Returns::<
                                Result<HashMap<u64, User>, Error>,
                            >::new()
                                .__errors(),
                        ),
                );
                let __policy = || {
                    ::worksharing::__private_0_1::policy_of_one(
                            ::worksharing::__private_0_1::Returns::<
                                Result<HashMap<u64, User>, Error>,
                            >::new()
                                .__map(),
                        )
                        .errors(
                            ::worksharing::__private_0_1::Returns::<
                                Result<HashMap<u64, User>, Error>,
                            >::new()
                                .__errors(),
                        )
                };
                while let ::worksharing::__private_0_1::Some(__missing) = ::worksharing::__private_0_1::next(
                        &mut __many,
                    )
                    .await
                {
                    #[allow(
                        unused_variables,
                        clippy::shadow_reuse,
                        clippy::shadow_same,
                        clippy::shadow_unrelated
                    )]
                    let ids = &__missing[..];
                    ::worksharing::__private_0_1::land_many(
                            &mut __many,
                            __policy(),
                            ::worksharing::__private_0_1::pin!(
                                async move { if false { return ::worksharing::__private_0_1::never::
                                < Result < HashMap < u64, User >, Error > > (); } { db.users(ids).
                                await } }
                            ),
                        )
                        .await;
                }
                ::worksharing::__private_0_1::finish(__many)
            }
        "#]],
    );
}

#[test]
fn what_is_lent_anew() {
    check(
        quote!(
            each = (shop, id) in ids,
            key = key_of(shop, id),
            cache_if = |user| user.active,
            via = self.sharing
        ),
        quote! {
            fn users(&mut self, mut log: &mut Log, mut name: String, db: Db, ids: HashSet<(u8, u64)>) -> BTreeMap<(u8, u64), User> {
                log.add(name);
                self.load(ids)
            }
        },
        expect![[r#"
            fn users(
                &mut self,
                log: &mut Log,
                name: String,
                db: Db,
                ids: HashSet<(u8, u64)>,
            ) -> BTreeMap<(u8, u64), User> {
                let __plan = ::worksharing::__private_0_1::Plan::via(
                    &self.sharing,
                    ::worksharing::__private_0_1::String::new(),
                    ::worksharing::__private_0_1::concat!(
                        ::worksharing::__private_0_1::module_path!(), "::users"
                    ),
                );
                let __form = ::worksharing::__private_0_1::form(&ids);
                let __entrants = ::worksharing::__private_0_1::entrants_in(
                    ::worksharing::__private_0_1::Returns::<BTreeMap<(u8, u64), User>>::new()
                        .__map(),
                    ids,
                    |__id| {
                        #[allow(clippy::pattern_type_mismatch)]
                        let (shop, id) = __id;
                        let __key = ::worksharing::__private_0_1::text(&key_of(shop, id));
                        __plan.keyed(__key)
                    },
                );
                let mut __many = ::worksharing::__private_0_1::many(
                    __entrants,
                    ::worksharing::__private_0_1::policy_of_one(
                            ::worksharing::__private_0_1::Returns::<BTreeMap<(u8, u64), User>>::new()
                                .__map(),
                        )
                        .errors(
                            ::worksharing::__private_0_1::Returns::<BTreeMap<(u8, u64), User>>::new()
                                .__errors(),
                        ),
                );
                let __policy = || {
                    ::worksharing::__private_0_1::policy_of_one(
                            ::worksharing::__private_0_1::Returns::<BTreeMap<(u8, u64), User>>::new()
                                .__map(),
                        )
                        .errors(
                            ::worksharing::__private_0_1::Returns::<BTreeMap<(u8, u64), User>>::new()
                                .__errors(),
                        )
                        .cache_if(
                            ::worksharing::__private_0_1::value_of_one(
                                    ::worksharing::__private_0_1::Returns::<
                                        BTreeMap<(u8, u64), User>,
                                    >::new()
                                        .__map(),
                                )
                                .__by(|user| -> ::worksharing::__private_0_1::bool {
                                    { user.active }
                                }),
                        )
                };
                while let ::worksharing::__private_0_1::Some(__missing) = ::worksharing::__private_0_1::next_blocking(
                    &mut __many,
                ) {
                    #[allow(
                        unused_variables,
                        clippy::shadow_reuse,
                        clippy::shadow_same,
                        clippy::shadow_unrelated
                    )]
                    let __this = &mut *self;
                    #[allow(
                        unused_variables,
                        clippy::shadow_reuse,
                        clippy::shadow_same,
                        clippy::shadow_unrelated
                    )]
                    let mut log = &mut *log;
                    #[allow(
                        unused_variables,
                        clippy::shadow_reuse,
                        clippy::shadow_same,
                        clippy::shadow_unrelated
                    )]
                    let mut name = ::worksharing::__private_0_1::again(&name);
                    #[allow(
                        unused_variables,
                        clippy::shadow_reuse,
                        clippy::shadow_same,
                        clippy::shadow_unrelated
                    )]
                    let ids = __form.lent(__missing);
                    ::worksharing::__private_0_1::land_many_blocking(
                        &mut __many,
                        __policy(),
                        move || -> BTreeMap<(u8, u64), User> {
                            log.add(name);
                            __this.load(ids)
                        },
                    );
                }
                ::worksharing::__private_0_1::finish(__many)
            }
        "#]],
    );
}

#[test]
fn of_an_async_trait() {
    check(
        quote!(each = id in ids, key = "user:{id}"),
        quote! {
            fn users<'life0, 'async_trait>(&'life0 mut self, ids: &'life1 Vec<u64>, unused: Log)
                -> Pin<Box<dyn Future<Output = HashMap<u64, User>> + Send + 'async_trait>>
            where
                Self: 'async_trait,
            {
                Box::pin(async move {
                    let mut __self = self;
                    let ids = ids;
                    let unused = unused;
                    let __ret: HashMap<u64, User> = { __self.load(ids).await };
                    __ret
                })
            }
        },
        expect![[r#"
            fn users<'life0, 'async_trait>(
                &'life0 mut self,
                ids: &'life1 Vec<u64>,
                unused: Log,
            ) -> Pin<Box<dyn Future<Output = HashMap<u64, User>> + Send + 'async_trait>>
            where
                Self: 'async_trait,
            {
                Box::pin(async move {
                    let __plan = ::worksharing::__private_0_1::Plan::installed(
                        ::worksharing::__private_0_1::String::new(),
                        ::worksharing::__private_0_1::concat!(
                            ::worksharing::__private_0_1::module_path!(), "::users"
                        ),
                    );
                    let __entrants = ::worksharing::__private_0_1::entrants_of(
                        ::worksharing::__private_0_1::Returns::<HashMap<u64, User>>::new().__map(),
                        ids,
                        |__id| {
                            #[allow(clippy::pattern_type_mismatch)]
                            let id = __id;
                            let __key = ::worksharing::__private_0_1::format!("user:{}", id);
                            __plan.keyed(__key)
                        },
                    );
                    let mut __many = ::worksharing::__private_0_1::many(
                        __entrants,
                        ::worksharing::__private_0_1::policy_of_one(
                                ::worksharing::__private_0_1::Returns::<HashMap<u64, User>>::new()
                                    .__map(),
                            )
                            .errors(
                                ::worksharing::__private_0_1::Returns::<HashMap<u64, User>>::new()
                                    .__errors(),
                            ),
                    );
                    let __policy = || {
                        ::worksharing::__private_0_1::policy_of_one(
                                ::worksharing::__private_0_1::Returns::<HashMap<u64, User>>::new()
                                    .__map(),
                            )
                            .errors(
                                ::worksharing::__private_0_1::Returns::<HashMap<u64, User>>::new()
                                    .__errors(),
                            )
                    };
                    while let ::worksharing::__private_0_1::Some(__missing) = ::worksharing::__private_0_1::next(
                            &mut __many,
                        )
                        .await
                    {
                        #[allow(
                            unused_variables,
                            clippy::shadow_reuse,
                            clippy::shadow_same,
                            clippy::shadow_unrelated
                        )]
                        let __this = &mut *self;
                        #[allow(
                            unused_variables,
                            clippy::shadow_reuse,
                            clippy::shadow_same,
                            clippy::shadow_unrelated
                        )]
                        let ids = &__missing;
                        ::worksharing::__private_0_1::land_many(
                                &mut __many,
                                __policy(),
                                ::worksharing::__private_0_1::pin!(
                                    async move { if false { return
                                    ::worksharing::__private_0_1::never:: < HashMap < u64, User > >
                                    (); } { let mut __self = __this; #[allow(unused_variables)] let
                                    ids = ids; let __ret : HashMap < u64, User > = { __self.load(ids)
                                    . await }; __ret } }
                                ),
                            )
                            .await;
                    }
                    ::worksharing::__private_0_1::finish::<_, _, HashMap<u64, User>>(__many)
                })
            }
        "#]],
    );
}
