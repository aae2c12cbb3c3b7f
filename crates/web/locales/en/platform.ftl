# The pages of the platform's administrators.

platform-businesses = Businesses of this installation
platform-businesses-intro = Everybody whose keys this installation serves. Their keys are for their members to see.
platform-create = Create a business
platform-create-intro = It begins with TEST keys. The person invited becomes its administrator, and is shown the first LIVE keys once.
platform-search = Name or Business ID
platform-none = No business yet
platform-none-next = Create one and invite its first administrator.
platform-none-found = No business is like this
platform-range = { $total ->
    [one] { $first }–{ $last } of { $total } business
   *[other] { $first }–{ $last } of { $total } businesses
}
platform-open = Open
platform-suspended = Suspended
platform-suspended-since = Suspended since
platform-invited = Open invitations
platform-own = Its pages
platform-no-keys = You see nothing of its keys here: only its members do.
platform-profile-hint = How its keys look and which rules they follow. It is fixed once there are keys, and there are from the start.
platform-profile-invalid = Choose a profile of the list.
platform-id = Business ID
platform-id-hint = In the form of the profile. Leave it empty for a new one.
platform-id-invalid = This is not the form of the profile: a UUID, or so many digits.
platform-id-taken = There is a business with this ID already.
platform-email = E-mail address of the first administrator
platform-email-hint = The invitation goes there, and is good for 7 days.
suspend = Suspend
resume = Resume
suspend-question = Suspend { $name }?
suspend-consequence = { $count ->
    [0] All its keys are refused from that moment on; no request used them in 7 days. Its members can still read its pages, and change nothing. Nothing is deleted.
    [one] All its keys are refused from that moment on: { $count } request used them in 7 days. Its members can still read its pages, and change nothing. Nothing is deleted.
   *[other] All its keys are refused from that moment on: { $count } requests used them in 7 days. Its members can still read its pages, and change nothing. Nothing is deleted.
}
resume-question = Resume { $name }?
resume-consequence = Its keys are accepted again from that moment on, as far as each of them is in force.
type-name-business = Type the name of the business to confirm: { $name }
flash-business-created = { $name } was created, and its first administrator is invited.
flash-business-suspended = { $name } is suspended. Its keys are refused.
flash-business-resumed = { $name } is open again.

platform-keys = Platform keys
platform-keys-intro = The operator's own keys: they belong to no business, and act for this installation.
platform-keys-none = No platform key yet
platform-keys-none-next = Your servers need one to ask whether a key is good, or to manage businesses.
platform-key-create = Create a platform key
platform-key-create-intro = Give it no more than its program needs.
platform-key-name-invalid = Enter a name of 1 to 50 characters.
platform-scope-verify = Ask whether a key is good
platform-scope-manage = Manage businesses and their keys
platform-scopes-none = Choose at least one permission.
platform-key-made = Platform key created
platform-key-once = It is shown now and never again. Whoever has it acts for the whole installation.
platform-key-revoke-used = It was last used { $used }. Whatever sends it is refused from that moment on.
platform-key-revoke-unused = Nothing has used it. Whatever sends it is refused from that moment on.
platform-former = Somebody who is no platform administrator now

platform-node = Health
node-intro = How this node and its jobs are doing. Other nodes on the same database have their own page.
node-state = State
node-ready = Ready to serve
node-ready-yes = Yes
node-ready-no = The database does not answer
node-database = Database
node-version = Version
node-started = Started
node-queues = What waits
node-events = Events to hand out
node-mails = Mails to send
node-mail-folder = No mail server is set: mails are written to
node-mails-failed = Mails given up since the start
node-notes = Notes of requests to write down
node-dropped = Notes dropped since the start
node-jobs = Jobs
node-job = Job
node-ran = Last run
node-failed = Last failure
job-reminders = Reminding customers of invoices
job-announcements = Telling of keys that end soon
job-recorder = Writing down requests and uses
job-dispatcher = Handing out events
job-changes = Hearing of changes on other nodes
job-pruning = Removing what is too old
job-mail = Sending mails
job-payments = Looking at ledgers and making periods
job-networks = Watching networks
job-webhooks = Delivering webhooks
job-well = Well
job-failing = Failing
job-waiting = Has not run yet

platform-configuration = Configuration
configuration-intro = What this node started with. Secrets are not shown. A change takes effect with the next start.
configuration-setting = Setting
configuration-value = Value
configuration-from = From
configuration-set = set
configuration-none = Nothing is known of the configuration here
origin-default = Default
origin-file = File
origin-variable = Variable
origin-flag = Flag
job-reconciliation = Comparing the sums of networks
node-sums = Do the sums agree?
node-sums-block = Block
node-sums-addresses = Addresses
node-sums-differences = Differences
