// What both runs of the client share: the server under test, its business, and the published client for backends.
import { Invoice, PaymentLink, RecurringPayment } from "mileston-payments";

export const url = process.env.TROUSSEAU_TEST_URL;
const created = JSON.parse(process.env.TROUSSEAU_TEST_BUSINESS);
export const business = created.business.id;
export const name = created.business.name;
export const key = (environment, kind) =>
  created.keys.find((key) => key.environment === environment && key.kind === kind).value;

PaymentLink.defaultBaseURL = `${url}/payment-link`;
Invoice.defaultBaseURL = `${url}/invoice`;
RecurringPayment.defaultBaseURL = `${url}/recurring-payment`;

/** The backend of the shop, in one environment. */
export const backend = (environment) => {
  const [links, invoices, recurring] = [PaymentLink, Invoice, RecurringPayment].map((kind) => new kind(key(environment, "secret"), business));
  return {
    links, invoices, recurring,
    link: async (more) => (await links.create({ amount: "100.00", title: "Coffee", ...more })).paymentData.paymentLinkId,
    invoice: async (more) =>
      (await invoices.create("Acme", { amount: "50.00", itemName: "Workshop", customerEmail: "billing@customer.example", dueDate: new Date("2030-01-31T12:00:00Z"), ...more })).invoiceData.invoiceId,
    subscription: async (more) =>
      (await recurring.create("Acme", { amount: "9.00", subscriptionName: "Box", subscriberFullName: "A customer", subscriberEmail: "a@customer.example", recurringDate: new Date(), recurringInterval: 30, ...more })).recurringPaymentData.recurringPaymentId,
  };
};

/** A call of ours, by the backend: what happens on the ledger of TEST. */
export const ours = async (path, body) => {
  const answer = await fetch(`${url}/v1/test/${path}`, {
    method: "POST",
    headers: { apikey: key("test", "secret"), businessid: business, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
};
