# Developers > API keys.

keys-intro = A key lets your servers call the API on behalf of this business. Send it together with the Business ID.
keys-intro-alone = A key lets your servers call the API on behalf of this business.
create-key = Create key
plain-http = This address is not protected by HTTPS. Whoever listens on the way can read keys. Use LIVE keys over HTTPS only.
business-id = Business ID
active-keys = Active keys
active-secret-keys = Active secret keys
active-checkout-keys = Active Checkout keys
used-of-most = { $used } of { $most }
room-full = No room left
last-verified = Last verified request
none-yet = none yet
none = none
none-date = none

column-name = Name
column-id = ID
column-type = Type
column-reference = External reference
column-key = Key
column-masked = Masked key value
column-start = Start date
column-end = End date
column-created = Created
column-usage = Usage, 7 days
column-state = State
actions = Actions

key-number = Key { $number }
number-sign = no. { $number }
kind-secret = Secret
kind-checkout = Checkout
phrase-secret = secret key
phrase-checkout = Checkout key
kind-secret-hint = for your servers
kind-checkout-hint = for pages and apps: starts payments, reads their status
restricted = restricted
ending-in = { " ending in " }
switch-on = Active
switch-off = Inactive
status-active = Active
status-scheduled = Scheduled
status-in-force = In force
status-upcoming = Upcoming
status-expired = Expired
status-inactive = Inactive
status-revoked = Revoked
status-expiring = { $days ->
    [0] Expires today
    [one] Expires tomorrow
   *[other] Expires in { $days } days
}
status-rotating = Rotating until { $until }

copy = Copy
copy-key = Key
copy-header = Header
key-copied = Key copied
header-copied = Header copied
reference-copied = Reference copied
copy-reference = Copy external reference

all-types = All types
kind-restricted = Restricted (secret)
all-states = All states
all-but-revoked = All but revoked
search-numbers = Search by number, reference, or a key
search-keys = Search by name, number, reference, or a key
filter = Filter
export-csv = Export CSV
export-excel = CSV for Excel
export-most = The newest 10,000 rows at most
filter-text = “{ $text }”
nothing-found = No key matches
clear-filters = Clear filters
no-key-yet = No key yet in { $environment }
no-key-next = Create one and make your first request in a minute.
read-guide = Read the guide
keys-caption = API keys of { $business } in the { $environment } environment
keys-range = { $total ->
    [one] { $first }–{ $last } of { $total } key
   *[other] { $first }–{ $last } of { $total } keys
}
rows-per-page = Rows per page
show = Show
pages = Pages
previous = Previous
next = Next
never-used = never used
last-used = Last used
more-actions = More actions
more-actions-of = More actions: { $name }
action-open = Open
action-edit = Change
action-rotate = Rotate
action-switch-off = Switch off
action-switch-on = Switch on
action-revoke = Revoke

whose-title = Whose key is this?
whose-hint = Paste a key that you found in a log, a file or a page. It is looked up, opened if it is one of yours, and neither shown nor written down.
whose-label = A key
whose-button = Find its owner
unknown-key-title = No key of yours has this value.
unknown-key = It was neither shown nor written down. If it was meant to be a key of this business, compare its last three characters with the list.

create-title = Create a key
create-intro = Give each system a key of its own: then one can be ended without the others.
edit-title = Change { $name }
name-hint = What uses it, such as “Orders service”. Only your team sees it.
permissions = Permissions
permissions-hint = Give it what it needs and no more: a stolen key can do exactly this.
resource-payment-links = Payment links
resource-invoices = Invoices
resource-recurring-payments = Recurring payments
resource-payments = Payments
resource-refunds = Refunds
resource-checkout = Checkout
resource-keys = API keys
resource-webhooks = Webhooks
resource-events = Events and refusals
level-none = None
level-read = Read
level-write = Read and write
level-status = Read status
level-start = Start payments, read status
level-only = Only: { $what }
ips = Allowed IP ranges
ips-hint = One per line, such as 203.0.113.0/24. Empty allows any address.
origins = Allowed web origins
origins-hint = One per line, such as https://shop.example. Empty allows any page.
rates = Rate limits
rates-hint = One per line, such as 100/1m for 100 requests a minute; s, m, h or 1d. At most 4. Empty is no limit.
quota-day = Requests a day at most
quota-month = Requests a month at most
quota-hint = Counted in UTC. Empty is no limit.
limit-rate = { $unit ->
    [second] { $calls } requests in { $count ->
        [one] { $count } second
       *[other] { $count } seconds
    }
    [minute] { $calls } requests in { $count ->
        [one] { $count } minute
       *[other] { $count } minutes
    }
    [hour] { $calls } requests in { $count ->
        [one] { $count } hour
       *[other] { $count } hours
    }
   *[day] { $calls } requests in 24 hours
}
limit-quota = { $period ->
    [day] { $calls } requests a day
   *[month] { $calls } requests a month
}
day-hint = The whole day counts, in the time zone { $zone }.
end-hint = The end day is included. Counted from the start date.
end-none = No end
end-days = { $count } days
end-date = A date
update-sentence = Update the sentence
save = Save
cancel = Cancel
close = Close

wrong-name-empty = Give the key a name.
wrong-name-long = A name has at most { $most } characters.
wrong-name-control = The name holds a control character, or one that changes the writing direction.
wrong-day = Write a day as 2026-01-31.
wrong-order = The end date lies before the start date.
wrong-scope = This kind of key cannot have one of these permissions.
wrong-ip = Not an IP range, or with host bits: { $list }
wrong-ips = These ranges cannot be used with this kind of key.
wrong-rate = Not a rate such as 100/1m, of 1 to 1000000 requests in at most 1d: { $list }
wrong-rates-same = Two rates are for the same time.
wrong-quota = Write a whole number of requests, at least 1, or nothing.
wrong-origin = Not an origin such as https://shop.example: { $list }
wrong-origins = These origins cannot be used with this kind of key.
wrong-too-many = At most { $most } entries.
wrong-kind = This kind of key cannot be made here.
limit-reached = There are as many keys as there may be. Revoke or switch off another one first.
limit-reached-here = { $kind ->
    [secret] All { $most } places for secret keys are taken.
    [checkout] All { $most } places for Checkout keys are taken.
   *[all] All { $most } places are taken.
}
limit-next = End a key that nothing uses any more, then create this one:
last-key = This is the last key in force of its kind. Create another one first, so that your systems are never without.
last-keys = Without these, no key of their kind would be in force. Leave one of them, or create another one first.

sum-checkout = Pages and apps with this key will be able to start payments for links they know, and to read their status, in { $environment }.
sum-secret = Whoever holds this key will be able to { $able } in { $environment }.
sum-nothing = This key will be able to do nothing but prove that it exists.
sum-everything = Whoever holds this key will be able to do everything that the API of this business offers, until the key is revoked.
sum-reach = It works { $reach }.
sum-no-end = It is in force from { $start } on, without an end.
sum-end = It is in force from { $start } to the end of { $end }.
sum-off = It is switched off until you switch it on.
list-and = { " and " }
list-phrases = { "; " }
reach-any-origin = from any page
reach-origins = from pages of { $list } only
reach-any-address = from any address
reach-addresses = from { $list } only

noun-payment-links = payment links
noun-invoices = invoices
noun-recurring-payments = recurring payments
noun-payments = payments
noun-refunds = refunds
noun-webhooks = webhooks
noun-keys = API keys
noun-events = events
noun-checkout = the checkout
may-both = read and change { $what }
may-read = read { $what }
may-change = change { $what }
may-checkout-start = start payments
may-checkout-status = read the status of a payment
may-checkout-both = start payments and read their status

stakes = What this key means
if-stolen = If it is stolen
if-ended = If it ends now
stolen-nothing = Nothing: it has no permission.
stolen-test = Whoever has it can { $able } in TEST, { $reach }. No real money moves.
stolen-live = Whoever has it can { $able }, { $reach }, with real customers and real money.
stolen-checkout = Little: it is public. Whoever has it can { $able }, { $reach }.
ended-used = { $count ->
    [one] { $count } request used it in 7 days, { $used }. Whatever sends it is refused from that moment on.
   *[other] { $count } requests used it in 7 days, the last one { $used }. Whatever sends them is refused from that moment on.
}
ended-quiet = Nothing used it in 7 days; the last request came { $used }. Whatever sends it is refused from that moment on.
ended-unused = Nothing has used it yet, so nothing breaks.
ended-not-in-force = Nothing breaks: it is not in force.

issued-made = Key created
issued-rotated = New value created
issued-replaced = Value replaced
issued-revealed = Value of the key
issued-copy-title = Copy these values now.
issued-keep-title = Keep these values secret.
issued-once-live = In LIVE they are shown once: they are not kept, and nobody can find them again. If you lose them, create a new key.
issued-once-test = They are shown once: they are not kept, and nobody can find them again. If you lose them, create a new key.
issued-readable-live = They are kept encrypted, and you can copy them again on the page of the key. Each time is written down.
issued-readable-test = They are kept encrypted, and in TEST you can copy them again on the page of the key.
issued-old-until = The old value is accepted until { $until }. Put the new one in place before then.
issued-old-ended = The old value is refused from now on.
issued-install = Put the key and the Business ID into the settings of your system, or into its environment; never into code, a page or a message.
issued-install-alone = Put the key into the settings of your system, or into its environment; never into code, a page or a message.
until-day = until { $day }
without-end = no end date
key-value = Key value
authorization = Authorization (HTTP header)
verify-now = Verify the key now
request-example = Example of a request
stored-it = I have stored the key
env-file = .env file

details = Details
key-id = Key ID
unreadable = The value was shown once and is not kept. To see one again, create another key or rotate this one.
unreadable-no-rotation = The value was shown once and is not kept. To see one again, create another key.
unbound-title = Any page can use this key.
unbound = In LIVE, bind it to the origins of your shop: then a copy of it works nowhere else.
unbound-next = Bind it to origins
rotating-until = The value before the last rotation is still accepted, until
rotating-next = Rotating with an overlap has to wait until then. Replacing now ends both old values.
history = History
changed-from-to = { $what }: { $old } → { $new }
metadata = Metadata

switch-off-question = Switch off { $name }?
switch-on-question = Switch on { $name }?
revoke-question = Revoke { $name } for good?
revoke-button = Revoke for good
type-name = Type the name of the key to confirm: { $name }
type-name-wrong = Type { $name } to confirm.
rotate-title = Rotate { $name }
rotate-intro = The key gets a new value and keeps its name, number and permissions.
rotate-planned = With time to change over
rotate-planned-hint = Old and new value work side by side, then the old one ends by itself.
overlap = The old value works for
overlap-hours = { $count ->
    [one] { $count } more hour
   *[other] { $count } more hours
}
overlap-days = { $count } more days
overlap-in-progress = An earlier value of this key is still accepted. Wait for its end, or replace the value now.
choose-overlap = Choose how long the old value works.
replace-now = Replace now
replace-hint = For a value that leaked: it is dead at once, and so is any older one. This works for the last key, too.

flash-form-sent-already = This form was sent already. What it made is in the list.
form-sent-otherwise = This form was sent before with other fields, and did what they asked for. If you want this as well, send it now.
rotate-sent-otherwise = A form of this page was sent before, and the key has a new value since. If you want to give it yet another one, send this form once more.
create-sent-otherwise = This form was sent before with other fields, and made a key, which is in the list. If you want another one, create it now.
changed-meanwhile = Somebody else changed this meanwhile. Save again to have it as you chose, or open the page of the key to see how it is now.
lockout-question = Leave { $name } out of force?
lockout = It is the only key in force: without it, nothing of yours can call.
flash-key-saved = { $name } was changed.
flash-key-off = { $name } is switched off.
flash-key-on = { $name } is switched on.
flash-key-revoked = { $name } is revoked.

unbound-seen = It was used from:
unbound-bind = Bind it to these origins
usage-week = Requests in 7 days
day-utc = Day (UTC)
who-uses = Who uses it
who-uses-old = Who was seen with an old value
last-calls = Last requests
when = When
call = Request
http-status = Status
address = Address
client = Client
origin = Origin
which-value = Value
value-old = earlier
value-present = present
requests = Requests
first-seen = First seen
last-seen = Last seen
not-known = not known
left-behind = Keys that it made
left-behind-hint = They live on when this key ends, unless they are revoked with it.
end-as-well = Whoever had this key had these too. They are revoked with it, unless you take the tick away.
