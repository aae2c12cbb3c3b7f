# The pages of payments: what is to be paid, and what was

any-state = All states
amount = Amount
amount-usdc = Amount in USDC
amount-hint = For example 12.50, with a point and at most 6 decimals.
network = Network
payment = Payment
description = Description
optional = May stay empty.
delete = Delete
key-value-number = (value { $number })
customer-reference = Customer reference
customer-reference-hint = Your own name for the customer. May stay empty.
redirect-url = Return address
redirect-hint = Where the payer goes afterwards: an address that begins with https://. May stay empty.
wrong-amount = Enter an amount above zero, such as 12.50: digits and one point, at most 6 decimals
wrong-title = Shorten the title to 200 characters without line breaks
wrong-description = Shorten the description to 1000 characters without line breaks
wrong-redirect = Enter an address that begins with https://, at most 2048 characters (in TEST, http://localhost is good too)
wrong-reference = Shorten the customer reference to 100 characters

payable-title = Title
payable-id = ID
payable-copy-id = Copy the ID
payable-paid = Paid
payable-deleted = Deleted
payable-share = Page to pay on
payable-copy-url = Copy link
payable-url-copied = Link copied
payable-open = Open the page
payable-qr = QR code of the page
payable-edit-title = Change { $name }

links-intro = A page with a fixed price that you send to anybody: they pay it in USDC.
links-search = Search title, ID or reference
links-none = No payment link yet
links-none-next = Create one, send its address or its QR code, and see here who paid.
links-none-found = No payment link is like this
link-active = Active
link-inactive = Switched off
link-untitled = Untitled link
link-use = Use
link-single-use = Can be paid once
link-reusable = Can be paid again and again
link-single-use-choice = It can be paid once only
link-title-hint = What the payer reads above the price. May stay empty.
link-create = Create payment link
link-create-title = Create a payment link
link-edit-intro = Payments that were started keep their price.
link-deleted = This link was deleted: it cannot be paid any more. Its payments stay.
payable-delete-question = Delete { $name }?
payable-delete-consequence = Whoever opens its page can no longer pay. Payments for it stay where they are. This cannot be undone.
flash-link-made = Payment link created: { $name }
flash-link-saved = Payment link changed: { $name }
flash-link-on = Switched on: { $name }
flash-link-off = Switched off: { $name }
flash-link-deleted = Payment link deleted: { $name }

payment-open = Waiting
payment-processing = Being confirmed
payment-settled = Settled
payment-expired = Expired
payment-cancelled = Cancelled
payment-needs-review = Needs a decision
payment-reversed = Reversed
payment-partially-refunded = Partly refunded
payment-refunded = Refunded
exception-partial = Part of it arrived
exception-underpaid = Underpaid
exception-overpaid = Overpaid
exception-late = Late
exception-multiple = Paid twice
exception-manual = Decided by hand

payments-intro = What was paid, or is about to be: one line for each attempt, the newest first.
payments-search = Search ID, address, transaction or payer
payments-none = No payment yet
payments-none-next = A payment appears here as soon as somebody starts to pay a link, an invoice or a recurring payment.
payments-none-found = No payment is like this
payment-of = Payment of { $amount } USDC
payment-due = Amount due
payment-seen = Seen on the network
payment-settled-amount = Settled for good
payment-settled-of = { $settled } of { $due } USDC arrived for good.
payment-confirmations = { $count } of { $needed } confirmations
payment-for = For
payment-expires = In time until
payment-settled-at = Settled
payment-started = Started
transaction-hash = Transaction hash
copy-address = Copy the address
copy-hash = Copy the transaction hash
payer = Payer
payer-hint = As the network says. Ask the payer before you send money back there: it may be an exchange.
arrivals = What arrived
arrival-other-token = Another token
arrival-gone = Gone again: the network replaced its block
payment-cancel = Call off
payment-cancel-question = Call this payment off?
payment-cancel-consequence = Its address is not to be used any more. What is still sent there needs a decision. This cannot be undone.
payment-undecided = Money arrived, but not as it was expected. Decide what becomes of it.
payment-decide = Decide
payment-decide-title = Decide on this payment
payment-verdict = What becomes of it?
verdict-accept = Accept
verdict-accept-hint = It counts as paid with what arrived.
verdict-return = Return
verdict-return-hint = You give the money back yourself, outside of this system; it counts as refunded.
reason = Reason
reason-hint = Kept in the history, with your name. At most 500 characters.
wrong-verdict = Choose what becomes of it
wrong-reason = Say why, in at most 500 characters without line breaks
flash-payment-cancelled = Payment called off
flash-payment-decided = Decision kept
flash-payment-moved = Nothing was changed: the payment moved on in the meantime. See where it stands now.

unmatched = Unmatched deposits
unmatched-intro = Money that came to addresses of yours and that no payment takes.
unmatched-waiting = Money came in that no payment takes.
unmatched-look = Look at it
unmatched-none = Nothing waits here
unmatched-none-next = What comes in and belongs to no payment is listed here until somebody deals with it.
deposit = Transfer
deposit-dismiss = Put aside
deposit-dismiss-title = Put this transfer aside
deposit-dismiss-intro = You dealt with it outside of this system. It leaves the list, and stays in the events.
flash-deposit-dismissed = Transfer put aside

invoices-intro = A price, a day by which it is due, and a page on which it is paid.
invoices-search = Search title, ID or customer
invoices-none = No invoice yet
invoices-none-next = Create one, send the address of its page, and see here whether it was paid in time.
invoices-none-found = No invoice is like this
invoice = Invoice
invoice-number = Invoice { $number }
invoice-pending = Waiting
invoice-past-due = Past due
invoice-paid = Paid
invoice-void = Void
invoice-deleted-state = Deleted
invoice-due = Due
invoice-lines = Lines
invoice-quantity = Quantity
invoice-title-hint = What is billed, as the customer reads it.
invoice-create = Create invoice
invoice-create-title = Create an invoice
invoice-deleted = This invoice was deleted: it cannot be paid any more. Its payments stay.
invoice-void-button = Void
invoice-void-question = Void { $name }?
invoice-void-consequence = It can no longer be paid. It keeps its number and its history. This cannot be undone.
customer = Customer
customer-name = Name of the customer
customer-email = E-mail of the customer
wrong-invoice-title = Say what is billed, in at most 200 characters without line breaks
wrong-due = Enter the last day on which it can be paid in time
wrong-customer-name = Shorten the name to 200 characters
flash-invoice-made = Created: { $name }
flash-invoice-voided = Void now: { $name }
flash-invoice-deleted = Deleted: { $name }
flash-invoice-moved = Nothing was changed: the invoice was paid in the meantime.

recurring-payment = Recurring payment
recurring-intro = A price that comes back, period after period. Each period is an invoice of its own, paid on the same page.
recurring-search = Search name, ID or customer
recurring-none = No recurring payment yet
recurring-none-next = Create one, send the address of its page, and see here which periods were paid.
recurring-none-found = No recurring payment is like this
recurring-active = Active
recurring-past-due = Past due
recurring-paused = Paused
recurring-cancelled = Ended
recurring-held = Held
recurring-held-why = More than twelve periods were missed, so no further one is made. Resume it to go on from now; missed periods are not made up.
recurring-name = Name
recurring-name-hint = What the customer subscribes to, as they read it. May stay empty.
recurring-days = { $count ->
    [one] every day
   *[other] every { $count } days
}
recurring-weeks = { $count ->
    [one] every week
   *[other] every { $count } weeks
}
recurring-months = { $count ->
    [one] every month
   *[other] every { $count } months
}
recurring-years = { $count ->
    [one] every year
   *[other] every { $count } years
}
recurring-interval = Comes back
recurring-every = Comes back every
recurring-every-hint = At most 3660 days or 120 months.
recurring-unit = Unit
unit-days = days
unit-weeks = weeks
unit-months = months
unit-years = years
recurring-first = First due
recurring-first-hint = In { $zone }. It may be in the past: the periods since then are made up, at most twelve.
recurring-next = Next due
recurring-periods = Periods
recurring-share-hint = The latest period is paid there.
recurring-create = Create recurring payment
recurring-create-title = Create a recurring payment
recurring-edit-intro = What you change holds from the next period on.
recurring-deleted = This recurring payment was deleted: no period of it can be paid any more. What was paid stays.
recurring-pause = Pause
recurring-resume = Resume
recurring-cancel = End
recurring-cancel-question = End { $name }?
recurring-cancel-consequence = No further period is made, for good. Periods that are there can still be paid.
wrong-first-due = Enter the day and the time at which the first period is due
wrong-interval = Enter 1 to 3660 days, or up to 120 months
invoice-period-of = Period of
customer-wallet = Wallet of the customer
flash-recurring-made = Recurring payment created: { $name }
flash-recurring-saved = Recurring payment changed: { $name }
flash-recurring-paused = Paused: { $name }
flash-recurring-resumed = Goes on: { $name }
flash-recurring-cancelled = Ended: { $name }
flash-recurring-deleted = Recurring payment deleted: { $name }
flash-recurring-ended = Nothing was changed: the recurring payment has ended in the meantime.

checkout-intro = How the pages on which your customers pay look and behave, in this environment. Payments that were started keep their terms.
checkout-look = Look
checkout-accent = Colour of buttons and links
checkout-accent-hint = # and six hexadecimal digits. It has to be readable on a light page; the dark page lightens it as far as it needs. Empty takes ours.
checkout-accent-now = Now:
checkout-sample = Pay
checkout-languages = Language
checkout-any-language = As the browser of the payer asks, English or French
checkout-logo-hint = The logo is the one under Settings > Business.
checkout-after = After the payment
checkout-redirect-hint = Where payers go afterwards, unless the link or the invoice says otherwise: an address that begins with https://. May stay empty.
checkout-origins = Pages that are told
checkout-origins-hint = Origins of shops that open the page in a window and are told when it is paid, one per line, such as https://shop.example. Those that your checkout keys list are told too.
checkout-paid = What counts as paid
checkout-tolerance-amount = USDC that may be missing
checkout-tolerance-amount-hint = For example 0.05, for exchanges that keep a fee back.
checkout-tolerance-per-mille = Thousandths that may be missing
checkout-tolerance-per-mille-hint = 5 are half a percent. The larger of the two counts, and never more than 5 % of the price.
checkout-accepts-late = Late money settles
checkout-late = Money that comes after the time ran out
checkout-late-settles = Settles the payment
checkout-late-settles-hint = It is marked late.
checkout-late-waits = Waits for your decision
checkout-late-waits-hint = Nothing is delivered before somebody accepts it under Payments.
wrong-accent = Enter # and six hexadecimal digits, such as #2440c8
wrong-accent-faint = This colour is too light to be read: its contrast is { $contrast }, and 4.5 is needed. The nearest that can be read is { $nearest }.
wrong-tolerance-amount = Enter an amount such as 0.05: digits and one point, at most 6 decimals
wrong-tolerance-per-mille = Enter a whole number from 0 to { $most }
flash-checkout-saved = Checkout settings saved

takings-payments = { $count ->
    [one] { $count } payment
   *[other] { $count } payments
}
takings-none = Nothing settled
takings-of-list = Settled in this list:
takings-by-day = Payments settled, by day
takings-by-key = Payments settled, by key
takings-amount = Settled
takings-hosted = Started on the hosted page
takings-about = Payments settled from { $first } to { $last }; at most { $most } on one day.
