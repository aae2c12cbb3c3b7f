//! What a verification costs beside the look-up: parsing, digest, decision. `cargo bench -p trousseau-domain`

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use trousseau_domain::brand::Brand;
use trousseau_domain::credential::{AcceptedForms, CredentialHeaders, parse, ready_header};
use trousseau_domain::decision::{Circumstances, Demand, KeySnapshot, Meter, Transport, decide};
use trousseau_domain::digest::{KeyDigest, KeyFingerprint, Pepper};
use trousseau_domain::environment::Environment;
use trousseau_domain::key_text::{self, KeyForm};
use trousseau_domain::keys::{KeyKind, KeyState, Life, Validity, VersionLife};
use trousseau_domain::scope::{BuiltIn, Scope, ScopeCatalogue};
use trousseau_domain::time::Timestamp;

fn verification(criterion: &mut Criterion) {
    let brand = Brand::default();
    let random = std::array::from_fn(|index| u8::try_from(index % 200).expect("below 200"));
    let secret = key_text::generate(KeyForm::Branded, &brand, Environment::Test, KeyKind::Secret, &random);
    let business = "5f0c8a52-5b8e-4a3e-9d0f-2f8f6f1c3b7a".parse().expect("a UUID");
    let basic = ready_header(Some(&business), &secret);

    criterion.bench_function("parse/apikey", |bencher| {
        let values = [secret.expose().as_bytes()];
        let ids = [business.as_str().as_bytes()];
        let headers = CredentialHeaders { apikey: &values, business_id: &ids, ..Default::default() };
        bencher.iter(|| parse(black_box(headers), AcceptedForms::All, &brand));
    });
    criterion.bench_function("parse/basic", |bencher| {
        let values = [basic.as_bytes()];
        let headers = CredentialHeaders { authorization: &values, ..Default::default() };
        bencher.iter(|| parse(black_box(headers), AcceptedForms::All, &brand));
    });
    criterion.bench_function("digest", |bencher| {
        let pepper = Pepper::new(&[7; 32]);
        bencher.iter(|| KeyDigest::of(&KeyFingerprint::of(black_box(&secret)), &pepper));
    });

    let now = Timestamp::from_micros(1_800_000_000_000_000).expect("in range");
    let scopes = ScopeCatalogue::default().default_for(KeyKind::Secret);
    let ranges = ["203.0.113.0/24".parse().expect("a range")];
    let snapshot = KeySnapshot {
        business: &business,
        suspended: false,
        business_id_required: true,
        environment: Environment::Test,
        kind: KeyKind::Secret,
        life: Life {
            state: KeyState::Active,
            validity: Validity::new(now, None).expect("without an end"),
            revoked: false,
        },
        version: VersionLife { starts_at: now, ends_at: None },
        scopes: &scopes,
        allowed_origins: &[],
        allowed_ips: &ranges,
    };
    let demand = Demand { scopes: vec![Scope::built_in(BuiltIn::InvoicesRead)], ..Demand::default() };
    let ids = [business.as_str().into()];
    criterion.bench_function("decide", |bencher| {
        bencher.iter(|| {
            decide(
                Some(black_box(&snapshot)),
                black_box(&demand),
                &Circumstances {
                    business_ids: &ids,
                    origin: None,
                    from_browser: false,
                    address: Some([203, 0, 113, 7].into()),
                    transport: Transport::Protected,
                    meter: Meter::Within,
                    now,
                },
            )
        });
    });
}

criterion_group!(benches, verification);
criterion_main!(benches);
