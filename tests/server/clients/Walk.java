// Mixpanel's client for Java: events, a link by its verb, profiles and groups; then "sent".

import com.mixpanel.mixpanelapi.ClientDelivery;
import com.mixpanel.mixpanelapi.MessageBuilder;
import com.mixpanel.mixpanelapi.MixpanelAPI;
import java.util.Map;
import org.json.JSONObject;

public class Walk {
    public static void main(String[] arguments) throws Exception {
        String address = arguments[0];
        String device = arguments[2];
        MixpanelAPI client =
                new MixpanelAPI(address + "/track", address + "/engage", address + "/groups");
        MessageBuilder messages = new MessageBuilder(arguments[1]);
        ClientDelivery delivery = new ClientDelivery();
        delivery.addMessage(messages.event(device, "Viewed page", new JSONObject(Map.of("emoji", "☃"))));
        delivery.addMessage(
                messages.event(
                        "ana",
                        "$identify",
                        new JSONObject(Map.of("$anon_id", device, "$identified_id", "ana"))));
        for (int number = 0; number < 120; number++) {
            delivery.addMessage(messages.event("ana", "E" + number, new JSONObject()));
        }
        delivery.addMessage(messages.set("ana", new JSONObject(Map.of("$name", "Ana"))));
        delivery.addMessage(messages.increment("ana", Map.of("visits", 2L)));
        delivery.addMessage(messages.groupSet("company", "acme", new JSONObject(Map.of("size", 1))));
        client.deliver(delivery);
        client.sendMessage(
                messages.event("ana", "$create_alias", new JSONObject(Map.of("alias", "crm-17"))));
        System.out.println("\"sent\"");
    }
}
