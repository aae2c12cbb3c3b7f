//! What a key must have.

use crate::text::{is_visible, texts};
use crate::verification::{BusinessId, Environment, KeyKind, Scope};

texts! {
    /// For whom an assertion is signed.
    Audience: "audience", is_visible, 255, "";
}

/// What a key must have. All of it adds up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Demand {
    pub(crate) scopes: Vec<Scope>,
    pub(crate) environment: Option<Environment>,
    pub(crate) business: Option<BusinessId>,
    pub(crate) kind: Option<KeyKind>,
    pub(crate) audience: Option<Audience>,
}

impl Demand {
    /// Any good key.
    pub const fn new() -> Self {
        Self { scopes: Vec::new(), environment: None, business: None, kind: None, audience: None }
    }

    /// A scope as well, beside those that are demanded already.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scopes.push(scope);
        self
    }

    /// Keys of this environment only.
    #[must_use]
    pub const fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Keys of this business only.
    #[must_use]
    pub fn business(mut self, business: BusinessId) -> Self {
        self.business = Some(business);
        self
    }

    /// Keys of this kind only.
    #[must_use]
    pub const fn kind(mut self, kind: KeyKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// An assertion for this upstream is asked for, without which nobody passes. It is for one request, so the answer is
    /// never kept.
    #[must_use]
    pub fn audience(mut self, audience: Audience) -> Self {
        self.audience = Some(audience);
        self
    }

    /// The query of the question.
    pub(crate) fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("statuses", "all");
        for scope in &self.scopes {
            query.append_pair("scope", scope.as_str());
        }
        let rest = [
            ("environment", self.environment.map(Environment::as_str)),
            ("business", self.business.as_ref().map(BusinessId::as_str)),
            ("kind", self.kind.map(KeyKind::as_str)),
            ("audience", self.audience.as_ref().map(Audience::as_str)),
        ];
        for (name, value) in rest {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demand_is_a_query_of_which_nothing_can_break_out() {
        assert_eq!(Demand::new().query(), "statuses=all");
        let demand = Demand::new()
            .scope(Scope::from_static("payments:read"))
            .scope(Scope::from_static("a&statuses=few"))
            .environment(Environment::Live)
            .business(BusinessId::from_static("17"))
            .kind(KeyKind::Checkout)
            .audience(Audience::from_static("orders,east"));
        let expected = "statuses=all&scope=payments%3Aread&scope=a%26statuses%3Dfew&environment=live&business=17&\
                        kind=checkout&audience=orders%2Ceast";
        assert_eq!(demand.query(), expected);
    }
}
