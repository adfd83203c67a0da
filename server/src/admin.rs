//! Making, listing and revoking admin keys of a data folder, whether or not a server runs on it.
//!
//! They open the admin API; what each may do there is said by its [`Role`].

use qwenda_ledger::key::KEY_RANDOM_BYTES;
pub use qwenda_ledger::{
    key::admin::{AdminKey, SigningSecret},
    policy::Role,
};
use qwenda_store::admin::AdminKeyRow;

use crate::{
    Place,
    keys::{self, KeysError, now},
};

/// An admin key as its owner may see it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminKeyInfo {
    /// Of a key that signs it is the access key's id.
    pub id: String,
    pub name: String,
    pub role: Role,
    /// Whether it signs requests, rather than being sent itself.
    pub signs: bool,
    pub last_four: String,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds; `None` while it works.
    pub revoked_at: Option<i64>,
}

impl From<AdminKeyRow> for AdminKeyInfo {
    fn from(row: AdminKeyRow) -> Self {
        let AdminKeyRow { id, name, role, hash, last_four, created_at, revoked_at } = row;
        Self { id, name, role, signs: hash.is_none(), last_four, created_at, revoked_at }
    }
}

/// An admin key that was made. What it is opened with is here and nowhere else.
#[derive(Debug)]
pub enum Made {
    /// Sent as `Authorization: Bearer`.
    Bearer(AdminKey),
    /// Signs requests, together with the key's id.
    Signing(SigningSecret),
}

/// Makes an admin key: one that is sent, or one that signs.
pub async fn create(
    place: impl Into<Place>,
    name: &str,
    role: Role,
    signs: bool,
) -> Result<(Made, AdminKeyInfo), KeysError> {
    keys::check_name(name)?;
    let (store, secret) = keys::open(&place.into()).await?;
    let uuid = uuid::Uuid::new_v4().simple();
    let (id, hash, last_four, made) = if signs {
        let id = format!("ak_{uuid}");
        let signing = SigningSecret::of(&id, &secret);
        (id, None, signing.last_four().to_owned(), Made::Signing(signing))
    } else {
        let key = AdminKey::from_random(keys::random::<KEY_RANDOM_BYTES>()?);
        (format!("adm_{uuid}"), Some(key.hash(&secret)), key.last_four().to_owned(), Made::Bearer(key))
    };
    let row = AdminKeyRow { id, name: name.to_owned(), role, hash, last_four, created_at: now(), revoked_at: None };
    let done = store.admin_key_create(&row).await;
    store.close().await;
    done?;
    Ok((made, row.into()))
}

/// All admin keys, oldest first, revoked ones too.
pub async fn list(place: impl Into<Place>) -> Result<Vec<AdminKeyInfo>, KeysError> {
    let (store, _) = keys::open(&place.into()).await?;
    let rows = store.admin_key_list().await;
    store.close().await;
    Ok(rows?.into_iter().map(AdminKeyInfo::from).collect())
}

/// Revokes the working admin key of this id; servers refuse it from their next request on.
pub async fn revoke(place: impl Into<Place>, id: &str) -> Result<(), KeysError> {
    let (store, _) = keys::open(&place.into()).await?;
    let done = store.admin_key_revoke(id, now()).await;
    store.close().await;
    if done? { Ok(()) } else { Err(KeysError::NoSuchKey { wanted: id.to_owned() }) }
}
