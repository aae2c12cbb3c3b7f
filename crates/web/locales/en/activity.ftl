# Developers > Events and Usage: what happened, by whom, and how much is used.

events-intro = What happened to keys, people and settings of this business, and who did it. The newest comes first.
events-what = What happened
events-all = All events
events-who = By
events-person = Member
events-changes = Changes
events-whole-business = Whole business
events-role = Role
events-profile = Profile
events-time-zone = Time zone
events-language = Language
events-id = Event ID
events-copy = Copy the event ID
events-data = Data
events-copy-data = Copy the data
events-none = No event yet
events-none-next = Whatever happens to keys, people and settings is written down here.
events-none-found = No event is like this

event-business-created = Business created
event-business-updated = Settings changed
event-business-suspended = Business suspended
event-business-resumed = Business resumed
event-key-created = Key created
event-key-imported = Key taken over from another system
event-key-updated = Key changed
event-key-rotated = Key got a new value
event-key-revealed = Value of a key read
event-key-revoked = Key revoked
event-key-ending = Key about to end
event-key-new-network = Key used from a new network
event-member-invited = Member invited
event-invitation-revoked = Invitation taken back
event-member-added = Member added
event-member-role-changed = Role of a member changed
event-member-removed = Member removed
event-webhook-created = Webhook endpoint added
event-webhook-updated = Webhook endpoint changed
event-webhook-rotated = Webhook secret rotated
event-webhook-revealed = Webhook secret read
event-webhook-disabled = Webhook endpoint disabled
event-webhook-deleted = Webhook endpoint deleted
event-webhook-test = Webhook test sent

who-you = You
who-no-member = Somebody who is no member now
who-another-key = Another key
who-platform = The platform
who-operator = The operator of this installation
who-system = This installation itself

filter-key = Number of the key
filter-from = From
filter-to = To

usage-intro = How many requests were made with the keys of this business. Days are those of UTC; requests whose key and environment nobody knows are in the request log only.
usage-days = Days
usage-range = { $count } days
usage-requests = requests
usage-total = All
usage-share = Share
usage-by-day = Requests by day
usage-days-about = { $first } to { $last }. Most on one day: { $most }.
usage-by-key = Requests by key
usage-keys-about = { $count ->
    [one] The key with the most requests.
   *[other] The { $count } keys with the most requests.
}
usage-unknown-key = Unknown key
usage-by-outcome = Requests by outcome
usage-outcomes-about = One bar for each way in which requests ended.
usage-none = No request in this time
usage-none-next = Make one with the call on Home, and look here a second later.
