//! Signed assertions of what a key is, for upstreams behind a gateway.

use trousseau_domain::assertion::{AssertionKey, Audience, Claims, PublicKey, life};
use trousseau_domain::ids::RequestId;

use crate::app::Core;
use crate::context::KeyCaller;

/// Use cases of assertions.
#[derive(Debug, Clone, Copy)]
pub struct Assertions<'a> {
    core: &'a Core,
}

impl<'a> Assertions<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Says to `audience` what the key behind a request is.
    pub fn sign(self, caller: &KeyCaller, audience: &Audience, request_id: RequestId) -> String {
        let now = self.core.clock.now();
        let (iat, exp) = life(now, caller.ends_at());
        let claims = Claims {
            iss: self.core.people.address().as_str(),
            sub: caller.key_id(),
            aud: audience,
            iat,
            exp,
            jti: request_id,
            client_id: &caller.tenant.business,
            business_id: &caller.tenant.business,
            environment: caller.tenant.environment,
            kind: caller.kind(),
            scope: caller.scope_words(),
            metadata: caller.metadata().entries(),
            business_metadata: caller.business_metadata().entries(),
        };
        self.core.secrets.ring().get().assertion_key(now).sign(&claims)
    }

    /// The keys by which assertions are verified, the newest first.
    pub fn keys(self) -> Vec<PublicKey> {
        let now = self.core.clock.now();
        self.core.secrets.ring().get().published_assertion_keys(now).map(AssertionKey::public).collect()
    }
}
