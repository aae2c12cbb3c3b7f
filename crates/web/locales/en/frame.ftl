# The frame of every page: band, head, tabs, menus.

skip-to-content = Skip to content
environment = Environment
band-test = TEST environment: no real money moves. Keys and data stay separate from LIVE.
band-live = LIVE environment: real customers, real money.
switch-business = Switch business. Current:
businesses = Businesses
all-businesses = All businesses
copy-business-id = Copy Business ID
business-id-copied = Business ID copied
copied = Copied
copy-failed = It was not copied. The text is selected: copy it by hand.
account = Account
account-menu = Account menu, { $name }
guide = Guide and API reference
platform = Platform
sign-out = Sign out
theme = Theme
theme-light = Light
theme-dark = Dark
theme-system = As the system
main-menu = Main
suspended = This business is suspended. Its keys are refused, and its pages can be read and not changed. The operator of this installation can tell you why.

tab-home = Home
tab-payments = Payments
tab-payment-links = Payment links
tab-invoices = Invoices
tab-recurring-payments = Recurring payments
tab-developers = Developers
tab-settings = Settings

sub-api-keys = API keys
sub-webhooks = Webhooks
sub-events = Events
sub-requests = Request logs
sub-usage = Usage
sub-reference = API reference
sub-business = Business
sub-checkout = Checkout
sub-members = Members
sub-notices = Notices

role-administrator = Administrator
role-developer = Developer
role-analyst = Analyst

list-or = { " or " }

form-errors = { $count ->
    [one] One thing needs your attention
   *[other] { $count } things need your attention
}

time-just-now = just now
time-seconds-ago = { $count ->
    [one] { $count } second ago
   *[other] { $count } seconds ago
}
time-minutes-ago = { $count ->
    [one] { $count } minute ago
   *[other] { $count } minutes ago
}
time-hours-ago = { $count ->
    [one] { $count } hour ago
   *[other] { $count } hours ago
}
time-days-ago = { $count ->
    [one] yesterday
   *[other] { $count } days ago
}
time-in-minutes = { $count ->
    [one] in { $count } minute
   *[other] in { $count } minutes
}
time-in-hours = { $count ->
    [one] in { $count } hour
   *[other] in { $count } hours
}
time-in-days = { $count ->
    [one] tomorrow
   *[other] in { $count } days
}

step-up-title = Confirm that it is you
step-up-intro = LIVE keys and members are changed only by someone who proved who they are in the last ten minutes. Then you go on where you were.
step-up-passkey = Use a passkey
step-up-script = A passkey needs a browser that runs scripts.
password = Password
or-code = Code instead
code-hint = From your authenticator app, or a recovery code.
confirm = Confirm
proof-wrong = This is not right. Try again.
proof-later = Too many attempts. Try again { $when }.
